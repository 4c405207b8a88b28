"""drank.models.pivoting: rows of a basis of which the others are combinations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.models import pivoting
from drank.models.pivoting import pivot

ROUTES = {"by columns": pivoting._by_columns, "by elimination": pivoting._by_elimination}


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch) -> str:
    """The choice of a CPU, or in its place that of a GPU."""
    monkeypatch.setattr(pivoting, "_by_columns", ROUTES[request.param])
    return request.param


def whole(pivots: torch.Tensor, combined: torch.Tensor) -> torch.Tensor:
    """The basis whose pivots are the identity."""
    rows, rank = len(pivots) + len(combined), len(pivots)
    basis = torch.zeros(rows, rank, dtype=torch.float64)
    others = torch.ones(rows, dtype=torch.bool)
    others[pivots] = False
    basis[pivots], basis[others] = torch.eye(rank, dtype=torch.float64), combined
    return basis


def random(rows: int, rank: int, seed: int = 0, decay: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    return values * 10.0 ** (-decay * torch.arange(rank, dtype=torch.float64) / max(1, rank - 1))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("rows", "rank"), [(1, 1), (7, 1), (40, 17), (90, 30), (30, 30), (64, 63)])
def test_the_product_is_what_it_was_and_weights_are_bounded(route, rows, rank, scaled):
    basis, coefficients = random(rows, rank, decay=6), random(rank, 50, seed=1)
    scales = torch.rand(rows, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 10 if scaled else None
    pivots, combined = pivot(basis, scales)
    product, wanted = whole(pivots, combined) @ (basis[pivots] @ coefficients), basis @ coefficients
    assert (product - wanted).norm() <= 1e-9 * wanted.norm()
    assert pivots.tolist() == list(dict.fromkeys(pivots.tolist())) and combined.shape == (rows - rank, rank)
    others = torch.tensor(sorted(set(range(rows)) - set(pivots.tolist())), dtype=torch.long)
    weights = torch.ones(rows, dtype=torch.float64) if scales is None else scales.clamp(min=1e-4 * scales.max())
    bounded = combined * weights[others][:, None] / weights[pivots]
    assert bounded.abs().max().item() < 5 if len(others) else True


@given(rank=st.integers(0, 6), kept=st.integers(1, 8), seed=st.integers(0, 99))
def test_a_basis_of_lower_rank_is_reproduced(rank, kept, seed):
    """Columns that repeat others, or a basis of zeros."""
    basis = random(12, rank, seed) @ random(rank, kept, seed + 1)
    pivots, combined = pivot(basis)
    assert combined.isfinite().all()
    torch.testing.assert_close(whole(pivots, combined) @ basis[pivots], basis, rtol=1e-9, atol=1e-9)


def test_pivots_depend_on_the_span_alone():
    basis, other = random(30, 9), random(9, 9, seed=3)
    one, two = pivot(basis), pivot(basis @ other)
    assert set(one[0].tolist()) == set(two[0].tolist())


def test_inputs_with_large_activations_are_pivots_and_silent_ones_are_not(route):
    scales = torch.ones(30, dtype=torch.float64)
    scales[[4, 21]], scales[:3] = 1000.0, 0.0
    pivots, combined = pivot(random(30, 9), scales)
    assert {4, 21} <= set(pivots.tolist()) and not {0, 1, 2} & set(pivots.tolist())
    assert combined.isfinite().all()
    assert pivot(random(30, 9), torch.zeros(30))[0].equal(pivot(random(30, 9))[0]), "nothing is known of inputs that are all zero"
