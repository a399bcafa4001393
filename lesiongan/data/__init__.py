"""Data: sources, splits, the Examples artifact, and the input pipelines that read it."""
