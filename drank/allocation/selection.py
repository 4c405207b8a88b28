"""Options that are chosen on validation text: Swift-SVD's mix of a layer's importance and the loss of truncating it.

Swift-SVD (arXiv:2604.01609) shares what the floors leave of the budget in proportion to importance^mix · loss^(1 − mix) and tries eleven
values of the mix.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation import Evidence, allocate
from drank.allocation.plan import Plan
from drank.compression.factors import factors_of
from drank.evaluation.perplexity import window_losses
from drank.models.groups import Group
from drank.models.lowrank import convert
from drank.models.weights import Checkpoint
from drank.steps.log import progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

MIXES = tuple(tenths / 10 for tenths in range(11))
"""The shares of importance that are tried."""


def choose_mix(
    model: PreTrainedModel,
    checkpoint: Checkpoint,
    spectra: str | Path,
    evidence: Evidence,
    ratio: float,
    settings: Mapping[str, Any],
    windows: Tensor,
    batch: int = 8,
) -> dict[str, float]:
    """The perplexity on validation windows of token ids, (windows, tokens), of the model compressed with every mix, "0" to "1".

    `model` is the dense one and stays as it is. Mixes that lead to the same plan are measured once, and as the factors of a rank begin
    those of every larger one, all plans share one set of them. Raises NonFiniteError naming the mix where a loss is not finite.
    """
    plans = {
        f"{mix:g}": allocate(evidence, ratio, {**settings, "mix": mix}, model=checkpoint.directory.name, method="selection")
        for mix in MIXES
    }
    factors = factors_of(checkpoint, _widest(list(plans.values())), spectra)
    measured: dict[tuple[Group, ...], float] = {}
    for mix, plan in progress(plans.items(), "selection, mix", len(plans)):
        if plan.groups not in measured:
            compressed = copy.deepcopy(
                model, {id(parameter): parameter for parameter in model.parameters()}
            )  # all but the structure is shared
            convert(compressed, plan, _sliced(factors, plan))
            measured[plan.groups] = window_losses(compressed, list(windows), f"the validation text at mix {mix}", batch).perplexity
    return {mix: measured[plan.groups] for mix, plan in plans.items()}


def best_mix(perplexity: Mapping[str, float]) -> float:
    """The mix with the lowest perplexity, the smallest of several."""
    return min(map(float, perplexity), key=lambda mix: (perplexity[f"{mix:g}"], mix))


def _widest(plans: list[Plan]) -> Plan:
    """A plan with the largest rank of each group in any of several plans, which is dense where it is dense in all of them."""

    def widest(*groups: Group) -> Group:
        return replace(groups[0], rank=max(group.rank for group in groups), dense=all(group.dense for group in groups))

    return replace(plans[0], groups=tuple(map(widest, *(plan.groups for plan in plans))))


def _sliced(factors: Mapping[str, tuple[Tensor, Tensor]], plan: Plan) -> dict[str, tuple[Tensor, Tensor]]:
    """The beginnings of factors that have the ranks of a plan."""
    pairs = [(group, *factors[group.shape.name]) for group in plan.groups if not group.dense]
    return {group.shape.name: (basis[:, : group.rank], coefficients[: group.rank]) for group, basis, coefficients in pairs}
