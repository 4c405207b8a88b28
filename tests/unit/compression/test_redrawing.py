"""The text of a correction: which tokens are drawn anew, from what, and that neither batches nor other windows matter."""

from __future__ import annotations

import pytest
import torch

from drank.compression.correction import correct, leaving_states
from drank.compression.redrawing import SHARE, redrawn


def test_a_share_of_the_tokens_is_drawn_and_never_the_first(toy):
    windows = toy.windows.repeat(8, 1)
    dense = toy.dense()
    text = redrawn(dense, windows, leaving_states(dense, windows), 0)
    assert text.shape == windows.shape and text.dtype == windows.dtype
    assert torch.equal(text[:, 0], windows[:, 0])
    with torch.no_grad():
        shares = dense(windows).logits[:, :-1].softmax(-1)
    kept = shares.gather(-1, windows[:, 1:, None]).mean().item()  # a draw may be what was there
    expected, tokens = SHARE * (1 - kept), windows[:, 1:].numel()
    assert (text != windows)[:, 1:].double().mean().item() == pytest.approx(expected, abs=5 * (expected / tokens) ** 0.5)


def test_draws_follow_what_the_dense_model_predicts_there(toy):
    """Of many passes: every token's share among the draws of a place, against the model's own, summed over places."""
    dense, windows = toy.dense(), toy.windows[:1]
    dense.lm_head.weight.data.mul_(8)  # the toy's predictions are nearly uniform
    reference, passes = leaving_states(dense, windows), 4000
    with torch.no_grad():
        shares = dense(windows).logits[0, :-1].double().softmax(-1)
    counts = torch.zeros_like(shares)
    for number in range(passes):
        counts.scatter_add_(1, redrawn(dense, windows, reference, number)[0, 1:, None], torch.ones_like(counts[:, :1]))
    own = torch.nn.functional.one_hot(windows[0, 1:], shares.shape[1])
    expected = SHARE * shares + (1 - SHARE) * own
    error = (counts / passes - expected).abs()
    assert (error < 6 * (expected * (1 - expected) / passes).sqrt() + 2 / passes).all()
    assert (shares - 1 / shares.shape[1]).abs().max() > 0.05, "else a uniform draw would pass"


def test_a_window_is_drawn_alike_whatever_stands_beside_it_and_each_pass_otherwise(toy):
    dense = toy.dense()
    reference = leaving_states(dense, toy.windows)
    text = redrawn(dense, toy.windows, reference, 1)
    assert torch.equal(text[:5], redrawn(dense, toy.windows[:5], leaving_states(dense, toy.windows[:5], 3), 1))
    assert not torch.equal(text, redrawn(dense, toy.windows, reference, 2))
    assert torch.equal(text, redrawn(toy.compressed(toy.plan(3)), toy.windows, reference, 1)), "the head alone is the compressed model's"


def test_each_pass_reads_its_own_text(toy, monkeypatch):
    from drank.compression import passes

    read = []
    real = passes.Passes.take

    def taking(self, model, windows, *arguments):
        read.append(windows)
        return real(self, model, windows, *arguments)

    monkeypatch.setattr(passes.Passes, "take", taking)
    dense = toy.dense()
    correct(toy.compressed(toy.plan(4)), dense, toy.windows, 3)
    reference = leaving_states(dense, toy.windows)
    assert [redrawn(dense, toy.windows, reference, number).tolist() for number in range(3)] == [text.tolist() for text in read]
