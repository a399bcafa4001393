"""What each component executes: one module a step, plain paths and options in, files out."""
