"""Models as SavedModels on disk, and what is done with them outside a pipeline."""
