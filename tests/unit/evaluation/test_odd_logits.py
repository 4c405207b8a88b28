"""Logits of two models side by side: those that are −∞, and how many are in memory."""

from __future__ import annotations

import weakref

import pytest
import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from drank.evaluation.losses import window_losses
from drank.runtime.finite import NonFiniteError
from tests.unit.evaluation.measuring import llama

BATCH = 3


def never_predicts(model, token):
    """The model with a logit of −∞ for a token, as some mask rows of their vocabulary."""
    give = model.forward

    def forward(*args, **kwargs):
        logits = give(*args, **kwargs).logits.clone()
        logits[..., token] = float("-inf")
        return CausalLMOutputWithPast(logits=logits)

    model.forward = forward
    return model


def test_tokens_that_neither_model_ever_predicts_are_no_distance(nine_windows):
    windows = list(nine_windows.ids.long()[:128].clamp(max=48).view(8, 16))
    dense, model = (never_predicts(llama(0, noise), 49) for noise in (0.0, 0.1))
    with torch.inference_mode():
        p, q = ([one(window[None]).logits[0, :-1] for window in windows] for one in (dense, model))
    logs = [(a.double().log_softmax(-1)[:, :49], b.double().log_softmax(-1)[:, :49]) for a, b in zip(p, q, strict=True)]
    expected = [(a.exp() * (a - b)).sum().item() for a, b in logs]
    found = window_losses(model, windows, "toy", BATCH, beside=lambda number, chunk: iter(p[number * BATCH :][: len(chunk)]))
    assert found.divergence == pytest.approx(expected, rel=1e-5)


def test_a_token_that_the_dense_model_predicts_and_the_other_rules_out_is_said(nine_windows):
    windows = list(nine_windows.ids.long()[:128].clamp(max=48).view(8, 16))
    dense, model = llama(0), never_predicts(llama(0), 49)
    with torch.inference_mode():
        logits = [dense(window[None]).logits[0, :-1] for window in windows]
    with pytest.raises(NonFiniteError, match=r"the KL to dense of window 0 of toy is inf: the model rules out tokens that the dense"):
        window_losses(model, windows, "toy", 8, beside=lambda number, chunk: iter(logits))


def test_of_the_dense_model_the_logits_of_one_window_are_alive_at_a_time(nine_windows):
    alive = []

    def beside(number, chunk):
        for window in chunk:
            assert not [one for one in alive if one() is not None]
            logits = torch.zeros(len(window) - 1, 50)
            alive.append(weakref.ref(logits))
            yield logits
            del logits

    window_losses(llama(0), nine_windows.consecutive(16), "toy", 8, beside=beside)
    assert len(alive) == 9
