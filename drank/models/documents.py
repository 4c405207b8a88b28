"""What lies beside the weights of a compressed model and tells of it: names, and who writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CARD, PLAN, MAKING, NUMBERS = "README.md", "plan.json", "making.json", "numbers.json"
"""The model card for people, the ranks with every field of the method, how they became a model, and what was measured of it."""

ROUNDING = "rounding.json"
"""Beside the weights of a rounded model: of which model they are, what of it was rounded, how, and by whom."""

GRAPH, DATA = "model.onnx", "model.onnx.data"
"""An exported graph, and beside it its weights, which a graph of more than 2 GB could not hold."""

_LEFT_OUT: ContextVar[bool] = ContextVar("left_out", default=False)


@contextmanager
def left_out() -> Iterator[None]:
    """Inside, `save_pretrained` of a compressed model writes no documents: whoever saves brings its own (`drank.models.publishing`)."""
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


def are_left_out() -> bool:
    """Whether this is inside of `left_out`."""
    return _LEFT_OUT.get()
