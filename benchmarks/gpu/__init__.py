"""Both GANs of recipe `best` in JAX, to screen changes on a GPU; `parity` compares them with this project's steps."""
