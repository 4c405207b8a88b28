"""What the SVD sees: each weighting gives the Gram matrix LᵀL of the left factor in `A = L W`.

Only LᵀL is ever needed: the right singular vectors of A are the eigenvectors of `Wᵀ (LᵀL) W`, whichever square root L is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def identity(grams: list[Tensor]) -> Tensor | None:
    """None, which stands for the identity: plain SVD of W."""
    return None


def whitening(grams: list[Tensor]) -> Tensor | None:
    """The summed second moment Σ XᵀX of the group's layers, (d1, d1).

    SVD-LLM (arXiv:2403.07378) for one layer, Basis Sharing (arXiv:2410.03765) and D-Rank (arXiv:2509.25622) for several.
    """
    import torch

    return torch.stack(grams).sum(0)


WEIGHTINGS: dict[str, Callable[[list[Tensor]], Tensor | None]] = {"identity": identity, "whitening": whitening}
"""The weightings by name; each takes the moments XᵀX of a group's layers, in order."""
