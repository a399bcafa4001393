"""ACGAN: networks, losses, training step."""
