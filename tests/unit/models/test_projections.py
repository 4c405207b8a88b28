"""Projections that read one input together, called by several threads: each gets what is made of its own input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from drank.models.execution.projections import Bases, PivotedBases
from drank.models.lowrank import LowRankLinear, PivotedLinear


class Held(list[Any]):
    """What is held of an input, with another thread that comes between right after it is put there, once."""

    between: Callable[[], None] | None = None

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self.between is not None:
            between, self.between = self.between, None
            between()


def factors(rank: int) -> LowRankLinear:
    made = LowRankLinear(nn.Linear(8, 6, bias=False), rank)
    made.fill(torch.randn(8, rank), torch.randn(rank, 6), nn.Linear(8, 6, bias=False))
    return made


def pivoted(rank: int) -> LowRankLinear:
    made = PivotedLinear(nn.Linear(8, 6, bias=False), rank)
    made.fill(torch.randn(8 - rank, rank), torch.randn(rank, 6), nn.Linear(8, 6, bias=False))
    made.place(torch.randperm(8)[:rank])
    return made


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("make", "kind"), [(factors, Bases), (pivoted, PivotedBases)], ids=["factors", "pivoted"])
def test_another_thread_between_changes_nothing(make, kind, place) -> None:
    members = [make(rank) for rank in (3, 3, 3)]
    bases, mine, theirs, found = kind(members), torch.randn(5, 8), torch.randn(5, 8), []
    bases._held = Held(bases._held)
    bases._held.between = lambda: found.append(bases.part(place, theirs))
    with torch.no_grad():
        for number, member in enumerate(members):
            torch.testing.assert_close(member.coefficients(bases.part(number, mine)), member(mine))
        torch.testing.assert_close(members[place].coefficients(found[0]), members[place](theirs))
