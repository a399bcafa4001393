"""ACGAN: networks, losses, training step."""

from lesiongan.base.moved import face

__getattr__ = face(__name__, "model")
