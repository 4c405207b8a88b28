"""Weightings: what each makes of the moments of a group's layers."""

from __future__ import annotations

import pytest
import torch

from drank.weightings import WEIGHTINGS


@pytest.fixture
def inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(50, 6, dtype=torch.float64, generator=generator) for _ in range(3)]


def test_whitening_of_a_group_is_the_moment_of_all_its_tokens_together(inputs):
    stacked = torch.cat(inputs)
    torch.testing.assert_close(WEIGHTINGS["whitening"]([x.T @ x for x in inputs]), stacked.T @ stacked)


def test_whitening_of_one_layer_is_its_moment_and_leaves_it_alone(inputs):
    gram = inputs[0].T @ inputs[0]
    before = gram.clone()
    weighted = WEIGHTINGS["whitening"]([gram])
    assert weighted is not None
    assert torch.equal(weighted, before) and torch.equal(gram, before)


def test_identity_sees_no_moments(inputs):
    assert WEIGHTINGS["identity"]([x.T @ x for x in inputs]) is None


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_weighting_gives_a_symmetric_semidefinite_float64_matrix(name, inputs):
    gram = WEIGHTINGS[name]([x.T @ x for x in inputs])
    if gram is not None:
        assert gram.dtype == torch.float64 and gram.shape == (6, 6)
        assert torch.equal(gram, gram.mT)
        assert torch.linalg.eigvalsh(gram).min() >= 0
