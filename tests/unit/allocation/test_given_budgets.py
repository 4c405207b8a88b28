"""What a given plan may store beside its budget: what rounding does to one, and what ranks of a multiple leave where they are such."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from drank.allocation.given import Given
from drank.models.groups import Shape
from tests.unit.allocators_fixture import plan_of, random_evidence

SHAPES = [Shape(role, (layer,), 40, 60) for role in "qo" for layer in range(4)]


@pytest.fixture
def ranked(tmp_path: Path) -> Callable[..., Given]:
    """Reads a plan of eight groups, which at ratio 0.5 have rank 12 each, with these ranks."""

    def read(ranks: Sequence[int], **settings: Any) -> Given:
        data = json.loads(plan_of(random_evidence(SHAPES, 0), 0.5, allocator="uniform").to_json())
        for row, rank in zip(data["groups"], ranks, strict=True):
            row["rank"] = rank
        (tmp_path / "mine.json").write_text(json.dumps({**data, "settings": settings}))
        return Given.read(tmp_path / "mine.json")

    return read


def test_what_rounding_does_to_a_budget_is_let_pass(ranked: Callable[..., Given]) -> None:
    """A rank more in every group, as D-Rank's published code may round, and a rank less; two are another plan."""
    for rank in (13, 11):
        assert ranked([rank] * 8).ranks(SHAPES, 0.5, False) == [rank] * 8
    for rank in (14, 10):
        with pytest.raises(ValueError, match="which is ratio"):
            ranked([rank] * 8).ranks(SHAPES, 0.5, False)


def test_a_multiple_is_believed_of_ranks_that_are_such_alone(ranked: Callable[..., Given]) -> None:
    """The largest rank of a group need be none."""
    assert ranked([8] * 8, rank_multiple=8).multiple == ranked([8] * 7 + [40], rank_multiple=8).multiple == 8
    assert ranked([8] * 7 + [12], rank_multiple=8).multiple == 1
    assert ranked([8] * 8, rank_multiple=True).multiple == ranked([8] * 8, rank_multiple="8").multiple == ranked([8] * 8).multiple == 1


@pytest.mark.parametrize(("ranks", "multiple"), [([1] * 8, 100_000), ([4] * 8, 4), ([8] * 8, 8)])
def test_a_multiple_is_not_what_switches_the_budget_off(ranked: Callable[..., Given], ranks: list[int], multiple: int) -> None:
    """It leaves less than a step of a group in each kind of projection, and not in each group."""
    with pytest.raises(ValueError, match=r"fewer than ratio .* leaves, which is ratio"):
        ranked(ranks, rank_multiple=multiple).ranks(SHAPES, 0.5, False)


def test_what_is_less_than_a_step_of_a_kind_is_let_pass(ranked: Callable[..., Given]) -> None:
    """Of the 48 ranks of each kind multiples of 10 leave 8, which fewer ranks of another multiple may not."""
    assert ranked([10] * 8, rank_multiple=10).ranks(SHAPES, 0.5, False) == [10] * 8
    with pytest.raises(ValueError, match="raise its ranks"):
        ranked([10] * 8, rank_multiple=4).ranks(SHAPES, 0.5, False)
