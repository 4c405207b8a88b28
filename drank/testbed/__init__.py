"""The embedded test bed: two small models trained on Python's documentation, and the tasks that go with them."""

from pathlib import Path

MODELS = Path(__file__).parent / "models"
"""Where the shipped model directories lie, one per key of `drank.testbed.training.SHAPES`."""
