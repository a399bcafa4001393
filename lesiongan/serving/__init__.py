"""Models as SavedModels on disk, and what is done with them outside a pipeline."""

from lesiongan.base.moved import face

__getattr__ = face(__name__, "saved_models")
