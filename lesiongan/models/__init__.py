"""The networks: ACGAN, CycleGAN and the lesion classifier, `keras.Model` subclasses with their own `train_step`."""
