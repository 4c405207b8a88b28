"""Losses of windows for properties."""

import numpy as np
from hypothesis import strategies as st

TOKENS = st.integers(1, 600)
LOSS = st.floats(0.01, 12)


@st.composite
def windows(draw, smallest=1):
    """Summed losses and token counts of some windows."""
    tokens = np.array(draw(st.lists(TOKENS, min_size=smallest, max_size=30)))
    loss = np.array(draw(st.lists(LOSS, min_size=len(tokens), max_size=len(tokens)))) * tokens
    return loss, tokens
