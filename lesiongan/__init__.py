"""Class-specific synthetic dermoscopy images from an imbalanced collection, and a measurement of whether they help.

The library knows nothing of pipelines: `components` wrap it and `pipelines` compose the components.
"""

import os
import sys
import warnings

from lesiongan.base import moved

# TensorFlow leaves oneDNN off on processors without AVX-512; with it a ResNet50 step takes a third of the time
# there. It is read when TensorFlow is imported, so it stands here.
if "TF_ENABLE_ONEDNN_OPTS" not in os.environ:
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    if "tensorflow" in sys.modules:
        warnings.warn(
            "import lesiongan before tensorflow (or set TF_ENABLE_ONEDNN_OPTS=1): TensorFlow may run without oneDNN, "
            "which takes two to three times as long on some CPUs",
            RuntimeWarning,
            stacklevel=2,
        )

__version__ = "0.2.0"
moved.install()
