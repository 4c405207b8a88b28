"""Weightings: what each makes of the statistics of a group's layers."""

from __future__ import annotations

import pytest
import torch

from drank.spectra.weightings import WEIGHTINGS


@pytest.fixture
def inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(50, 6, dtype=torch.float64, generator=generator) for _ in range(3)]


def left(name, statistics, **options):
    weighting = WEIGHTINGS[name]
    return weighting.left(statistics, weighting.settings(options))


def right(name, statistics, **options):
    weighting = WEIGHTINGS[name]
    return weighting.right(statistics, weighting.settings(options))


def test_whitening_of_a_group_is_the_moment_of_all_its_tokens_together_over_its_layers(inputs):
    stacked = torch.cat(inputs)
    torch.testing.assert_close(left("whitening", [x.T @ x for x in inputs]), stacked.T @ stacked / 3)


def test_absolute_mean_of_a_group_is_that_of_all_its_tokens_together(inputs):
    """ASVD weighs by diag(mean |x|^α), so that LᵀL has the power 2 α."""
    means = [x.abs().mean(0) for x in inputs]
    together = torch.cat(inputs).abs().mean(0)
    torch.testing.assert_close(left("absolute-mean", means), together)
    torch.testing.assert_close(left("absolute-mean", means, alpha=1.5), together**3)
    assert torch.equal(left("absolute-mean", means, alpha=0.0), torch.ones(6, dtype=torch.float64))


def test_fisher_rows_of_a_group_are_averaged(inputs):
    rows = [x.square().sum(0) for x in inputs]
    torch.testing.assert_close(left("fisher-rows", rows), torch.cat(inputs).square().sum(0) / 3)


def test_kronecker_fisher_damps_both_sides_by_their_mean_diagonal(inputs):
    grams = [x.T @ x for x in inputs]
    eye = torch.eye(6, dtype=torch.float64)
    total = sum(grams) / 3
    torch.testing.assert_close(left("kronecker-fisher", grams, damping=0.1), total + 0.1 * total.trace() / 6 * eye)
    for block, gram in zip(right("kronecker-fisher", grams), grams, strict=True):
        torch.testing.assert_close(block, gram + 0.01 * gram.trace() / 6 * eye)


def test_a_layer_without_gradients_takes_the_damping_of_its_group(inputs):
    grams = [inputs[0].T @ inputs[0], torch.zeros(6, 6, dtype=torch.float64)]
    blocks = right("kronecker-fisher", grams)
    torch.testing.assert_close(blocks[1], 0.01 * grams[0].trace() / 12 * torch.eye(6, dtype=torch.float64))
    assert not torch.stack(right("kronecker-fisher", [grams[1], grams[1]])).any(), "nothing to weigh by"


def test_scalar_fisher_weighs_a_group_by_one_number(inputs):
    grams = [scale * x.T @ x for scale, x in enumerate(inputs, 1)]
    torch.testing.assert_close(left("scalar-fisher", grams), sum(grams) / 3)
    level = sum(gram.trace() for gram in grams) / 18
    for block in right("scalar-fisher", grams):
        torch.testing.assert_close(block, level * torch.eye(6, dtype=torch.float64))
    assert not torch.stack(right("scalar-fisher", [0 * gram for gram in grams])).any(), "nothing to weigh by"


def test_identity_has_no_sides(inputs):
    assert left("identity", inputs) is None
    assert WEIGHTINGS["identity"].left_of is None


def test_only_weightings_with_gradients_say_so():
    assert {name for name, weighting in WEIGHTINGS.items() if weighting.gradients} == {
        "fisher-rows",
        "kronecker-fisher",
        "fitted-fisher",
        "likeliest-fisher",
        "scalar-fisher",
    }


def test_options_are_named_and_have_defaults():
    assert WEIGHTINGS["absolute-mean"].settings({}) == {"alpha": 0.5}
    assert WEIGHTINGS["kronecker-fisher"].settings({"damping": 0.5}) == {"damping": 0.5}
    with pytest.raises(ValueError, match="no option alpha, beta; it has damping"):
        WEIGHTINGS["kronecker-fisher"].settings({"alpha": 1, "beta": 2})
    with pytest.raises(ValueError, match="it has none"):
        WEIGHTINGS["whitening"].settings({"alpha": 1})


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_no_weighting_changes_what_it_is_given(name, inputs):
    grams = [x.T @ x for x in inputs[:1]]
    before = grams[0].clone()
    for side in (left, right):
        made = side(name, grams)
        for gram in made if isinstance(made, list) else [made]:
            if gram is not None:
                assert gram.dtype == torch.float64
    assert torch.equal(grams[0], before)
