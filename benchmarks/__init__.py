"""What README and docs claim of speed, each reproducible with one command: `python -m benchmarks.NAME`."""
