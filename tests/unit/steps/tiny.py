"""What the steps of a tiny model are called with, and the windows that they read, by hand."""

import torch
from safetensors.torch import load_file

from tests.workflow.runs import WORDS

COMPUTE = {"compute": {"device": "cpu", "dtype": "float32"}, "threads": 1}
TEXT = {"corpus": "text", "split": "train", "windows": 6, "length": 16, "seed": 13, "batch": 4}

FEW = {"windows": 6, "length": 16, "batch": 4, "threads": 1}
"""The same of a call."""


def drawn_text():
    """Nine hundred words, drawn from a seed."""
    drawn = torch.randint(len(WORDS), (900,), generator=torch.Generator().manual_seed(5))
    return " ".join(WORDS[i] for i in drawn) + "\n"


def places(folder):
    """Where the model lies."""
    return {"tiny": {"path": str(folder / "tiny")}}


def windows_of(tokens):
    """The first ids from each place that a generator of this seed draws."""
    ids = load_file(tokens)["ids"].long()
    starts = torch.randint(len(ids) - 15, (6,), generator=torch.Generator().manual_seed(13))
    return torch.stack([ids[start : start + 16] for start in starts])
