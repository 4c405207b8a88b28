"""Losses of predicted tokens: labels of the text, draws from the model, and the divergence from another model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.calibration.losses import WHOLE, divergence, in_whole_numbers, sampled_loss, text_loss


def logits_of(tokens: int, vocabulary: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(tokens, vocabulary, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def ids_of(tokens: int, vocabulary: int) -> torch.Tensor:
    return torch.randint(0, vocabulary, (tokens + 1,), generator=torch.Generator().manual_seed(9))


def drawn(losses: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The labels behind losses, which differ for every label."""
    gaps = (-logits.log_softmax(-1) - losses[:, None]).abs()
    assert (gaps.min(-1).values < 1e-12).all()
    return gaps.argmin(-1)


def test_the_loss_of_the_text_is_that_of_the_token_that_follows():
    logits, ids = logits_of(6, 5), ids_of(6, 5)
    shares = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = [-math.log(shares[position, ids[position + 1]]) for position in range(6)]
    for window in (0, 7):
        torch.testing.assert_close(text_loss(window, logits, ids), torch.tensor(expected, dtype=torch.float64))


def test_labels_are_drawn_as_often_as_the_model_predicts_them():
    """Pearson's χ² of 20,000 draws has six degrees of freedom: above 22.5 once in a thousand."""
    logits = logits_of(1, 7)
    many = logits.expand(20_000, 7)
    counts = torch.bincount(drawn(sampled_loss(13)(0, many, ids_of(20_000, 7)), many), minlength=7)
    expected = 20_000 * logits.softmax(-1)[0]
    assert ((counts - expected).square() / expected).sum() < 22.5


@pytest.mark.parametrize("scale", [0.0, 4.0])
def test_sums_of_whole_numbers_are_the_shares_in_whatever_order_they_are_added(scale):
    logits, levels = logits_of(16, 100_000, scale=scale), torch.rand(16, 1, generator=torch.Generator().manual_seed(5))
    shares = logits.float().softmax(-1)
    upto, level = in_whole_numbers(shares, levels)
    assert upto.dtype == level.dtype == torch.int32
    assert torch.equal(in_whole_numbers(shares.flip(-1), levels)[0][:, -1], upto[:, -1])
    torch.testing.assert_close(upto.double() / WHOLE, logits.softmax(-1).cumsum(-1), rtol=0, atol=1e-4)
    torch.testing.assert_close(level.double() / WHOLE, levels.double(), rtol=0, atol=1e-4)
    assert (level < upto[:, -1:]).all(), "one of the vocabulary is drawn"


def test_a_cpu_draws_by_what_it_always_did_and_other_devices_by_whole_numbers(monkeypatch):
    asked = []
    monkeypatch.setattr("drank.calibration.losses.in_whole_numbers", lambda *given: asked.append(given) or in_whole_numbers(*given))
    sampled_loss(13)(0, logits_of(2, 7), ids_of(2, 7))
    assert not asked
    sampled_loss(13)(0, logits_of(2, 7).to("meta"), ids_of(2, 7))
    assert len(asked) == 1


def test_draws_belong_to_a_window_and_a_seed_and_to_nothing_else():
    logits, state = logits_of(50, 9), torch.random.get_rng_state()
    one, two = sampled_loss(13), sampled_loss(14)
    first = one(4, logits, ids_of(50, 9))
    one(5, logits, ids_of(50, 9))
    assert torch.equal(one(4, logits, ids_of(50, 9).flip(0)), first), "neither what was drawn before nor the text matters"
    assert not torch.equal(one(5, logits, ids_of(50, 9)), first)
    assert not torch.equal(two(4, logits, ids_of(50, 9)), first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_second_moment_of_gradients_over_all_draws_is_the_gauss_newton_matrix():
    """Σ_v p_v (p − e_v)(p − e_v)ᵀ = diag(p) − p pᵀ, the Hessian of the loss by the logits."""
    logits = logits_of(1, 6)
    many, p = logits.expand(30_000, 6).clone().requires_grad_(), logits.softmax(-1)[0]
    (gradients,) = torch.autograd.grad(sampled_loss(2)(0, many, ids_of(30_000, 6)).sum(), many)
    expected = torch.diag(p) - torch.outer(p, p)
    torch.testing.assert_close(gradients.mT @ gradients / 30_000, expected, rtol=0, atol=0.01)
    hessian = torch.func.hessian(lambda z: text_loss(0, z[None], torch.tensor([0, 3]))[0])(logits[0])
    torch.testing.assert_close(hessian, expected)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 9), st.floats(0.01, 30))
def test_divergence_is_the_relative_entropy_and_its_gradient_the_gap_of_the_shares(seed, tokens, vocabulary, scale):
    wanted, logits = logits_of(tokens, vocabulary, seed, scale), logits_of(tokens, vocabulary, seed + 1, scale).requires_grad_()
    found = divergence(wanted, logits)
    p, q = (torch.distributions.Categorical(logits=values) for values in (wanted, logits))
    torch.testing.assert_close(found, torch.distributions.kl_divergence(p, q), rtol=1e-9, atol=1e-12)
    assert found.shape == (tokens,) and (found >= -1e-12).all()
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    torch.testing.assert_close(gradient, q.probs.detach() - p.probs, rtol=1e-9, atol=1e-12)


def test_nothing_diverges_from_itself_and_what_is_added_to_all_logits_is_of_no_matter():
    logits = logits_of(4, 8, scale=10)
    assert not divergence(logits, logits).any()
    torch.testing.assert_close(divergence(logits, logits + 3.5), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_objective_is_differentiable_and_keeps_the_dtype(dtype):
    logits, ids = logits_of(3, 5).to(dtype).requires_grad_(), ids_of(3, 5)
    for losses in (text_loss(0, logits, ids), sampled_loss(1)(0, logits, ids), divergence(logits.detach() + 1, logits)):
        assert losses.shape == (3,) and losses.dtype == dtype and losses.requires_grad
