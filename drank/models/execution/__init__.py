"""How a loaded model is run: the same weights in modules and graphs that make fewer and larger products of them."""
