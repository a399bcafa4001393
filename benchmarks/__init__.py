"""What README and docs claim of speed, each reproducible with one command: `python -m benchmarks.NAME`."""

import lesiongan  # noqa: F401 - sets how TensorFlow computes, so it must come before it
