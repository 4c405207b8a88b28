"""What no plan can be made of, told all at once: budgets too small, settings, models and evidence that do not go together."""

from __future__ import annotations

import numpy as np
import pytest

from drank.allocation.allocate import check_budget, refusal
from drank.allocation.allocators import ALLOCATORS
from drank.allocation.evidence import Evidence
from drank.allocation.problem import BudgetError
from drank.models.groups import Shape
from tests.unit.allocators_fixture import D_RANK, MOVABLE, SMALL, plan_of, random_evidence


def test_a_ratio_too_high_for_rank_1_names_every_type_and_the_highest_ratio_that_works():
    """K and V of GQA, 24 × 8: rank 1 costs 32 of 192; Q and O 48 of 576; the MLP 88 of 1536."""
    shapes = SMALL["gqa"]
    with pytest.raises(BudgetError) as error:
        check_budget(shapes, 0.93, {})
    message = str(error.value)
    assert "ratio 0.93" in message
    assert [role for role in ("q", "k", "v", "o", "gate", "up", "down") if f"{role}: " in message] == ["q", "k", "v", "o"]
    assert "k: 80 parameters, rank 1 costs 192 (highest ratio 0.8333)" in message
    with pytest.raises(BudgetError, match=r"highest ratio 0\.8333"):
        plan_of(random_evidence(shapes, 0), 0.93, **D_RANK)
    check_budget(shapes, 0.8333, {})
    with pytest.raises(BudgetError):
        check_budget(shapes, 0.8334, {})
    check_budget(shapes, 0.93, {"scope": "model"})
    check_budget(shapes, 0.99, {"allocator": "full"})


def test_floors_and_caps_that_no_ranks_can_meet_are_told_all_at_once_with_numbers():
    """Uniform ranks 20 of ω = 100, two groups: 1.3 × costs 5200 of 4000, and 0.6 × spends 2400 of them."""
    shapes = [Shape(role, (i,), 50, 50) for role in ("q", "k") for i in range(2)]
    with pytest.raises(BudgetError) as error:
        check_budget(shapes, 0.2, {"floor": 1.3})
    assert "q: 4000 parameters, floor 1.3 costs 5200 (a floor of 1 always fits); k: 4000 parameters, floor 1.3 costs 5200" in str(
        error.value
    )
    with pytest.raises(BudgetError) as error:
        check_budget(shapes, 0.2, {"cap": 0.6})
    assert "q: 4000 parameters, cap 0.6 spends at most 2400 (a cap of 1 spends all); k: " in str(error.value)
    check_budget(shapes, 0.2, {"floor": 1, "cap": 1})


def test_settings_that_make_no_sense_are_told_all_at_once():
    wrong = {
        "allocator": "optimum",
        "density": "entropy",
        "scope": "layer",
        "rebalance": "none",
        "floor": -1,
        "cap": 0,
        "beta": 1,
        "mix": 2,
    }
    with pytest.raises(ValueError) as error:
        check_budget([], 0.2, wrong)
    message = str(error.value)
    for key, value in wrong.items():
        assert f"{key} {value!r} is" in message, key
    assert "allocator 'optimum' is unknown; known: uniform, effective-rank" in message
    with pytest.raises(ValueError, match=r"cap 0\.5 is below floor 0\.8"):
        check_budget([], 0.2, {"floor": 0.8, "cap": 0.5})
    with pytest.raises(ValueError, match="method x: allocator 'optimum' is unknown"):
        plan_of(random_evidence(SMALL["mha"], 0), 0.2, allocator="optimum")


FUSED = {"qkv", "o", "up", "down"}
SEPARATE = {"q", "k", "v", "o", "gate", "up", "down"}


@pytest.mark.parametrize(
    ("options", "kinds", "reason"),
    [
        ({"beta": 0.3}, FUSED, "beta 0.3 needs separate q, k and v projections, this model has down, o, qkv, up; set beta: 0"),
        ({"beta": 0.3, "allocator": "greedy"}, SEPARATE, "beta 0.3 moves ranks, and those of allocator greedy stay; set beta: 0"),
        (
            {"beta": 0.1, "allocator": "full"},
            SEPARATE,
            "beta 0.1 moves ranks, and those of allocator full stay; set beta: 0",
        ),
        (
            {"allocator": "released", "scope": "model"},
            FUSED,
            "allocator released has one budget for each type of projection; set scope: type",
        ),
    ],
)
def test_what_cannot_apply_is_refused_with_the_reason(options, kinds, reason):
    assert refusal(options, kinds) == reason
    shapes = [Shape(kind, (i,), 9, 9) for kind in kinds for i in range(2)]
    with pytest.raises(ValueError) as error:
        plan_of(random_evidence(shapes, 0), 0.2, **options)
    assert str(error.value) == f"method x: {reason}"


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_what_applies_is_not_refused(allocator):
    assert refusal({"allocator": allocator}, FUSED) is None
    assert refusal({"allocator": allocator, "beta": 0.3 if allocator in MOVABLE else 0.0}, SEPARATE) is None


def test_evidence_that_is_missing_is_told_all_at_once():
    shapes = [Shape("q", (i,), 9, 9) for i in range(3)]
    whole = random_evidence(shapes, 0)
    bad = whole.energies | {"q.00": np.ones(8), "q.01": np.full(9, np.nan)}
    with pytest.raises(ValueError) as error:
        plan_of(Evidence(shapes, {name: values for name, values in bad.items() if name != "q.02"}), 0.2, allocator="greedy")
    message = str(error.value)
    for part in (
        "no energies of q.02",
        "energies that are not one finite number for each rank of q.00, q.01",
        "no slopes of q.00, q.01, q.02",
    ):
        assert part in message
    with pytest.raises(ValueError, match=r"no sensitivity of q\.00, q\.01, q\.02"):
        plan_of(Evidence(shapes, whole.energies), 0.2, allocator="sensitivity")
    with pytest.raises(ValueError, match="2 similarities for 3 layers"):
        plan_of(Evidence(shapes, whole.energies, similarities=[0.1, 0.2]), 0.2, allocator="importance-loss")
