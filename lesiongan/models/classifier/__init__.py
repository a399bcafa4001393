"""The lesion classifier: backbones, head, training step."""
