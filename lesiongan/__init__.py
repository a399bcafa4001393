"""Class-specific synthetic dermoscopy images from an imbalanced collection, and a proof whether they help a classifier.

The library knows nothing of pipelines: `components` wrap it and `pipelines` compose the components.
"""

__version__ = "0.1.0"
