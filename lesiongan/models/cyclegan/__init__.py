"""CycleGAN: networks, losses, image pool, training step."""
