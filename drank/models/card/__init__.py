"""The model card of a compressed model: what it is, how it was made, what it scores, and the hashes of its files, as Markdown."""
