"""Optimizers, and learning rates over the steps of a training."""
