"""Networks that others look through: ResNet50 and the EfficientNets without squeeze-and-excitation."""
