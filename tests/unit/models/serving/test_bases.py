"""Bases as vLLM's processes apply them: what each reads of its inputs adds up to the product with all of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.models.description import CheckpointError
from drank.models.groups import Group, Shape
from drank.models.serving.bases import Basis, Joined
from drank.models.serving.parts import Held, Part, index_of
from drank.models.serving.places import Place

COLUMNS = 5


def part_of(rows: int, rank: int, storage: str, inputs: tuple[int, int], seed: int = 0) -> Part:
    """A part that stores a random basis, of a process that reads some of the inputs."""
    group = Group(Shape("o", (0,), rows, COLUMNS, storage), float(rank), rank)
    part = Part(Place(group, "o_proj", "o_proj"), "o_proj", COLUMNS, inputs, torch.float64)
    draw = torch.Generator().manual_seed(seed)
    for kind, shape in part.expected().items():
        if kind == "pivots":
            part.take(kind, torch.randperm(rows, generator=draw)[:rank].int(), rows_as_they_are)
        else:
            part.take(kind, torch.randn(shape, generator=draw, dtype=torch.float64), rows_as_they_are)
    return part


def rows_as_they_are(columns: int, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def times(held: Held, x: torch.Tensor) -> torch.Tensor:
    return x @ held.weight.mT


def matrix_of(part: Part) -> torch.Tensor:
    """The basis of a part as a matrix, (inputs, rank), by its definition."""
    stored = part.basis.weight.detach().clone().mT
    if not part.pivoted:
        return stored
    whole = torch.zeros(len(stored) + part.rank, part.rank, dtype=torch.float64)
    pivots = part.pivots.tolist()
    whole[pivots] = torch.eye(part.rank, dtype=torch.float64)
    whole[[row for row in range(len(whole)) if row not in pivots]] = stored
    return whole


@given(st.data())
def test_what_the_processes_compute_adds_up(data):
    storage = data.draw(st.sampled_from(["factors", "pivoted"]))
    share, processes, seed = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), data.draw(st.integers(0, 99))
    rows = share * processes
    rank = data.draw(st.integers(1, rows))
    x = torch.randn(3, rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = x @ matrix_of(part_of(rows, rank, storage, (0, rows), seed))
    found = torch.zeros_like(expected)
    for process in range(processes):
        inputs = (share * process, share * (process + 1))
        (product,) = Basis(part_of(rows, rank, storage, inputs, seed))(x[:, slice(*inputs)], times)
        found += product
    torch.testing.assert_close(found, expected)


def test_joined_bases_are_the_bases_side_by_side():
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    bases = [Basis(part_of(8, rank, "factors", (0, 8), rank)) for rank in (2, 5, 3)]
    apart = [basis(x, times)[0] for basis in bases]
    together = Joined(bases)(x, times)
    assert [product.shape[-1] for product in together] == [2, 5, 3]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other)


def test_a_basis_leaves_nothing_where_it_was_read():
    """Or every weight would be in memory twice."""
    part = part_of(8, 3, "factors", (0, 8))
    Basis(part)
    assert part.basis.weight.numel() == 0


@pytest.mark.parametrize("pivots", [[0, 0, 1], [-1, 2, 3], [0, 1, 8]])
def test_pivots_that_are_not_different_inputs_are_refused(pivots):
    part = part_of(8, 3, "pivoted", (0, 8))
    part.pivots.data.copy_(torch.tensor(pivots))
    with pytest.raises(CheckpointError, match=r"o_proj\.pivots are not 3 different inputs of 8"):
        Basis(part)


@pytest.mark.parametrize(
    ("kind", "shape", "told"),
    [
        ("basis.weight", (2, 8), r"o_proj.basis.weight has the shape \[2, 8\], config.json promises \[3, 8\]"),
        ("coefficients.weight", (3, COLUMNS), r"promises \[5, 3\]"),
        ("weight", (COLUMNS, 8), "o_proj.weight is a dense matrix"),
        ("pivots", (3,), "config.json does not promise it"),
    ],
)
def test_what_does_not_belong_to_a_part_is_refused(kind, shape, told):
    part = part_of(8, 3, "factors", (0, 8))
    with pytest.raises(CheckpointError, match=told):
        part.take(kind, torch.zeros(shape), rows_as_they_are)


def test_the_guard_is_no_weight_and_what_did_not_come_is_named():
    group = Group(Shape("q", (0, 1), 8, COLUMNS, "pivoted"), 3.0, 3)
    owner = Part(Place(group, "a.q_proj", "a.q_proj"), "a.q_proj", COLUMNS, (0, 8), torch.float32)
    reader = Part(Place(group, "b.q_proj", "a.q_proj"), "b.q_proj", COLUMNS, (0, 8), torch.float32)
    for part in (owner, reader):
        part.take("weight", torch.empty(0), rows_as_they_are)
    assert sorted(owner.missing()) == ["a.q_proj.basis.weight", "a.q_proj.coefficients.weight", "a.q_proj.pivots"]
    assert list(reader.missing()) == ["b.q_proj.coefficients.weight"]
    assert index_of("v", [owner, owner, reader]) == 2 and index_of(None, [owner]) == 0
    with pytest.raises(CheckpointError, match="shard 3"):
        index_of(3, [owner, reader])
