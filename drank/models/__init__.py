"""Models: the families as data, where a model lies and what it stores, its low-rank form, and one block of it at a time."""
