"""Options that are chosen on validation text: Swift-SVD's mix of a layer's importance and the loss of truncating it.

Swift-SVD (arXiv:2604.01609) shares what the floors leave of the budget in proportion to importance^mix · loss^(1 − mix) and tries eleven
values of the mix. Here stand the plans to try and the choice; what a plan is worth is measured on the model
(`drank.evaluation.plan_trials`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.allocation.plan import Plan

MIXES = tuple(tenths / 10 for tenths in range(11))
"""The shares of importance that are tried."""


def plans_by_mix(evidence: Evidence, ratio: float, settings: Mapping[str, Any], *, model: str, method: str) -> dict[str, Plan]:
    """The plan that every mix leads to, "0" to "1"."""
    return {f"{mix:g}": allocate(evidence, ratio, {**settings, "mix": mix}, model=model, method=method) for mix in MIXES}


def best_mix(perplexity: Mapping[str, float]) -> float:
    """The mix with the lowest perplexity, the smallest of several."""
    return min(map(float, perplexity), key=lambda mix: (perplexity[f"{mix:g}"], mix))
