"""What sums over windows say of the mean loss: its gradient by every weight, and moments of its gradients at every output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.calibration.layer_files import SEEN
from drank.calibration.passes import INPUT_SIDE, OUTPUT_SIDE

if TYPE_CHECKING:
    from torch import Tensor

COUNTED, KEPT = "sums.windows", "sums.kept"
"""What stands beside the sums of a block: the number of windows that they are over, and a zero in the precision of gradients."""


def gradients_of(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the sums of a block over all windows say of the mean loss, for each role ρ.

    `ρ` is the gradient of the mean loss per token with respect to W, (d1, d2), float32 or in a float64 model float64; `ρ.outputs`, float64
    (d2, d2), the mean over the N predicted tokens of gᵀg; `ρ.rows`, float64 (d1,), the mean over windows of Σ_j (∂ℓ/∂W_ij)², ℓ the mean
    loss of one window. Factors that fit single windows are `ρ.fitted.inputs` (d1, d1) and `ρ.fitted.outputs` (d2, d2), float64.
    """
    windows = sums[COUNTED].item()
    predicted = sums[SEEN].item() - windows  # all but the first of each
    gradients = {SEEN: sums[SEEN]}
    for name, values in sums.items():
        if name.endswith((INPUT_SIDE, OUTPUT_SIDE)):
            gradients[name] = values
        elif name.endswith(".rows"):
            gradients[name] = values / (windows * (predicted / windows) ** 2)
        elif name.endswith(".outputs"):
            gradients[name] = values / predicted
        elif name not in (SEEN, COUNTED, KEPT):
            gradients[name] = (values / predicted).to(sums[KEPT].dtype)
    return gradients


def facts_of(facts: Mapping[str, Any], sums: Mapping[str, float]) -> dict[str, Any]:
    """What stands beside the gradients: what their text was, and the loss per token."""
    return {**facts, "loss": sums["loss"] / sums["predicted"]}
