"""What the steps of a tiny model are called with, and the windows that they read, by hand."""

import torch
from safetensors.torch import load_file

COMPUTE = {"compute": {"device": "cpu", "dtype": "float32"}, "threads": 1}
TEXT = {"corpus": "text", "split": "train", "windows": 6, "length": 16, "seed": 13, "batch": 4}


def places(folder):
    """Where the model lies."""
    return {"tiny": {"path": str(folder / "tiny")}}


def windows_of(tokens):
    """The first ids from each place that a generator of this seed draws."""
    ids = load_file(tokens)["ids"].long()
    starts = torch.randint(len(ids) - 15, (6,), generator=torch.Generator().manual_seed(13))
    return torch.stack([ids[start : start + 16] for start in starts])
