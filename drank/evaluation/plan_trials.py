"""Plans on trial: what a model loses on validation text under each of several plans, before one of them is chosen."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from drank.allocation.plan import Plan
from drank.compression.factors import factors_of
from drank.evaluation.losses import window_losses
from drank.models.conversion import convert
from drank.models.groups import Group
from drank.models.weights import Checkpoint
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def try_plans(
    model: PreTrainedModel,
    checkpoint: Checkpoint,
    spectra: str | Path,
    plans: Mapping[str, Plan],
    windows: Tensor,
    batch: int = 8,
) -> dict[str, float]:
    """The perplexity on validation windows of token ids, (windows, tokens), of the model compressed by every plan, by the plan's name.

    `model` is the dense one and stays as it is. Plans with the same groups are measured once, and as the factors of a rank begin those of
    every larger one, all plans share one set of them. Raises NonFiniteError naming the plan where a loss is not finite.
    """
    factors = factors_of(checkpoint, _widest(list(plans.values())), spectra)
    measured: dict[tuple[Group, ...], float] = {}
    for name, plan in progress(plans.items(), "trials, plan", len(plans)):
        if plan.groups not in measured:
            compressed = copy.deepcopy(
                model, {id(parameter): parameter for parameter in model.parameters()}
            )  # all but the structure is shared
            convert(compressed, plan.groups, _sliced(factors, plan.groups))
            measured[plan.groups] = window_losses(compressed, list(windows), f"the validation text under plan {name}", batch).perplexity
    return {name: measured[plan.groups] for name, plan in plans.items()}


def _widest(plans: list[Plan]) -> Plan:
    """A plan with the largest rank of each group in any of several plans, which is dense where it is dense in all of them."""

    def widest(*groups: Group) -> Group:
        return replace(groups[0], rank=max(group.rank for group in groups), dense=all(group.dense for group in groups))

    return replace(plans[0], groups=tuple(map(widest, *(plan.groups for plan in plans))))


def _sliced(factors: Mapping[str, tuple[Tensor, Tensor]], groups: Sequence[Group]) -> dict[str, tuple[Tensor, Tensor]]:
    """The beginnings of factors that have the ranks of these groups."""
    pairs = [(group, *factors[group.shape.name]) for group in groups if not group.dense]
    return {group.shape.name: (basis[:, : group.rank], coefficients[: group.rank]) for group, basis, coefficients in pairs}
