"""CycleGAN's blocks reformulated for speed on a CPU; `forms` is the entry point."""
