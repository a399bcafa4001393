"""Lets tests import the helpers that stand beside them."""

import sys
from pathlib import Path

import lesiongan  # noqa: F401 - before TensorFlow, see its __init__

sys.path.insert(0, str(Path(__file__).parent))
