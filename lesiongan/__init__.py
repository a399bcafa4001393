"""Class-specific synthetic dermoscopy images from an imbalanced collection, and a proof whether they help a classifier.

The library knows nothing of pipelines: `components` wrap it and `pipelines` compose the components.
"""

import os

# TensorFlow leaves oneDNN off on processors without AVX-512; with it a ResNet50 step takes a third of the time
# there. It is read when TensorFlow is imported, so it stands here.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
