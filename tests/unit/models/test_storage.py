"""drank.models.storage: what a rank costs, and what numbers buy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.models.groups import Group, Shape
from drank.models.storage import STORAGES

SHAPES = st.builds(
    lambda rows, columns, layers, storage: Shape("q", tuple(range(layers)), rows, columns, storage),
    *(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.sampled_from(sorted(STORAGES))),
)


@given(SHAPES)
def test_numbers_are_those_of_the_tensors(shape):
    for rank in range(1, shape.max_rank + 1):
        factors, pivoted = rank * shape.rows + rank * shape.width, rank * (shape.rows - rank) + rank * shape.width + rank
        assert shape.parameters(rank) == {"factors": factors, "pivoted": pivoted}[shape.storage]
        assert Group(shape, 1.0, rank).parameters == shape.parameters(rank)
        assert Group(shape, 1.0, rank, dense=True).parameters == shape.dense_parameters


@given(SHAPES, st.integers(0, 6000))
def test_numbers_buy_the_largest_rank_that_fits(shape, numbers):
    fitting = [rank for rank in range(shape.max_rank + 1) if shape.parameters(rank) <= numbers]
    assert shape.rank_within(numbers) == max(fitting)
    if numbers <= shape.parameters(shape.max_rank):
        real = shape.rank_of(numbers)
        assert shape.form.numbers(shape.rows, shape.width, real) == pytest.approx(numbers, abs=1e-6)


@given(SHAPES)
def test_a_further_rank_is_never_free_and_pivots_save_its_square(shape):
    other = replace(shape, storage="pivoted")
    assert all(other.parameters(rank + 1) > other.parameters(rank) for rank in range(other.max_rank))
    factors = replace(shape, storage="factors")
    assert all(factors.parameters(rank) - other.parameters(rank) == rank * rank - rank for rank in range(other.max_rank + 1))
    assert factors.break_even == pytest.approx(factors.dense_parameters / factors.cost)
    assert shape.parameters(int(shape.break_even)) <= shape.dense_parameters


def test_ranks_of_published_models_at_equal_numbers():
    """The reference's own figures: ranks of 4096 × 4096 and 4096 × 11008 at kept .8, .6, .4 (without indices)."""
    for columns, ranks in ((4096, (2264, 1505, 923)), (11008, (2973, 2076, 1307))):
        shape = Shape("q", (0,), 4096, columns, "pivoted")
        for kept, rank in zip((0.8, 0.6, 0.4), ranks, strict=True):
            assert abs(shape.rank_within(int(kept * shape.dense_parameters)) - rank) <= 1
