"""How far a model's predictions lie from the dense one's, out of what is kept of that, against both models in float64, token by token."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial

import pytest
import torch
from transformers import LlamaForCausalLM

from drank.evaluation.losses import WindowLosses, window_losses
from drank.evaluation.perplexity import summarised
from drank.evaluation.reference import Reference, store_reference
from drank.evaluation.wanted import wanted_texts
from drank.runtime.finite import NonFiniteError
from drank.runtime.shares import Share
from tests.unit.evaluation.measuring import llama

BATCH = 3
CUT = {"length": 16, "windows": None, "batch": BATCH}


@pytest.fixture(scope="module")
def dense() -> LlamaForCausalLM:
    return llama(0)


@pytest.fixture(scope="module")
def other() -> LlamaForCausalLM:
    return llama(0, noise=0.1)


@pytest.fixture(scope="module")
def place(tmp_path_factory, dense, nine_windows):
    """Folders of the dense model, and of what is kept of it on the text."""
    folder = tmp_path_factory.mktemp("dense")
    dense.save_pretrained(folder / "model")
    store_reference(dense, nine_windows.consecutive(16), folder / "kept", {"read": nine_windows.facts({**CUT, "bos": "text"})}, BATCH)
    return folder


@pytest.fixture(scope="module")
def beside(place):
    return Reference.read(place / "kept", place / "model").beside("cpu")


def by_hand(dense, other, windows):
    """Per window: Σ Σ_v p(v) (log p(v) − log q(v)) and how often both have the same likeliest, over all predicted positions."""
    wide = [LlamaForCausalLM(model.config).double().eval() for model in (dense, other)]
    for own, model in zip(wide, (dense, other), strict=True):
        own.load_state_dict(model.state_dict())
    divergence, agreed = [], []
    for window in windows:
        with torch.no_grad():
            p, q = (model(window[None]).logits[0, :-1].log_softmax(-1).tolist() for model in wide)
        pairs = [list(zip(*rows, strict=True)) for rows in zip(p, q, strict=True)]
        divergence.append(math.fsum(math.exp(a) * (a - b) for row in pairs for a, b in row))
        agreed.append(sum(max(one) == one[two.index(max(two))] for one, two in zip(p, q, strict=True)))
    return divergence, agreed


def test_it_is_that_of_both_models_in_float64(dense, other, nine_windows, beside):
    windows = nine_windows.consecutive(16)
    divergence, agreed = by_hand(dense, other, windows)
    found = window_losses(other, windows, "toy", BATCH, beside=beside)
    assert found.divergence == pytest.approx(divergence, rel=1e-5) and found.agreed == agreed
    assert 0 < sum(agreed) < sum(found.tokens) and min(divergence) > 0.1, "the models differ, or nothing is told apart"
    alone = window_losses(other, windows, "toy", BATCH)
    assert (found.loss, found.tokens) == (alone.loss, alone.tokens) and alone.divergence is None and alone.agreed is None


def test_a_model_beside_itself_does_not_differ(dense, nine_windows, beside):
    found = window_losses(dense, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    assert found.agreed == found.tokens and all(0 <= one < 1e-5 for one in found.divergence)


def test_long_windows_are_worked_on_in_parts(other, nine_windows, beside, monkeypatch):
    whole = window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    monkeypatch.setattr("drank.evaluation.losses.TOGETHER", 4)
    parts = window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    assert parts.divergence == pytest.approx(whole.divergence, rel=1e-6) and parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert parts.agreed == whole.agreed


@pytest.mark.parametrize("count", [2, 3, 6])
def test_shares_join_to_the_whole(other, nine_windows, beside, count):
    whole = window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    shares = [Share(number, count) for number in range(1, count + 1)]
    parts = [window_losses(other, nine_windows.consecutive(16), "toy", BATCH, share, beside) for share in shares]
    assert WindowLosses.joined(parts) == whole


def test_rows_and_windows_of_a_record(other, nine_windows, beside):
    losses = window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    rows, detail = summarised([nine_windows], {"toy": losses})
    by_metric = {row["metric"]: row for row in rows}
    assert list(by_metric) == ["perplexity", "perplexity_window_mean", "calibration_error", "kl_to_dense", "top1_agreement"]
    assert by_metric["kl_to_dense"]["value"] == pytest.approx(sum(losses.divergence) / sum(losses.tokens))
    assert by_metric["top1_agreement"]["value"] == pytest.approx(sum(losses.agreed) / sum(losses.tokens))
    for row in (by_metric["kl_to_dense"], by_metric["top1_agreement"]):
        assert row["ci_low"] < row["value"] < row["ci_high"] and row["count"] == sum(losses.tokens)
    assert (detail["toy"]["window_divergence"], detail["toy"]["window_agreed"]) == (losses.divergence, losses.agreed)


def test_the_head_of_a_piece_is_that_of_the_dense_model(place, other, nine_windows, beside):
    kept = Reference.read(place / "kept", place / "model")
    (piece,) = wanted_texts([nine_windows], {**CUT, "bos": "text"}, {"code": "c"}, [kept])
    (alone,) = wanted_texts([nine_windows], {**CUT, "bos": "text"}, {"code": "c"})
    assert piece.key["dense"]["read"] == piece.key["read"] and "dense" not in alone.key
    assert piece.measure(other, Share(1, 2)) == asdict(
        window_losses(other, nine_windows.consecutive(16), "toy", BATCH, Share(1, 2), beside)
    )


@pytest.mark.parametrize("changed", [{"length": 12}, {"windows": 2}, {"batch": 4}, {"bos": "none"}])
def test_what_is_kept_of_other_windows_is_refused(place, nine_windows, changed):
    with pytest.raises(ValueError, match=r"kept is of other windows than are measured of toy; delete it"):
        wanted_texts([nine_windows], {**CUT, "bos": "text", **changed}, {}, [Reference.read(place / "kept", place / "model")])


def test_batches_that_are_missing_or_others_are_refused(place, other, nine_windows, beside):
    with pytest.raises(ValueError, match=r"000004.safetensors is missing, and 1 windows of 16 tokens"):
        list(beside(4, nine_windows.consecutive(16)[:1]))
    with pytest.raises(ValueError, match=r"000000.safetensors holds 3 windows of 16 tokens, and 2 windows of 16"):
        list(beside(0, nine_windows.consecutive(16)[:2]))


def test_the_model_that_overflows_is_named(dense, other, nine_windows, beside):
    broken = llama(0)
    with torch.no_grad():
        broken.lm_head.weight[7] = float("inf")
    with pytest.raises(NonFiniteError, match=r"the loss of window 0 of toy is nan: the model's logits overflow"):
        window_losses(broken, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    overflowing = partial(beside.func, head=broken)
    with pytest.raises(NonFiniteError, match=r"dense model's loss of window 0 of toy is nan: the dense model's logits overflow"):
        window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=overflowing)


def test_the_head_has_the_precision_of_what_is_kept_and_not_that_of_the_model_beside(other, nine_windows, beside):
    half = LlamaForCausalLM(other.config).to(torch.bfloat16).eval()
    half.load_state_dict(other.state_dict())
    found = window_losses(half, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    whole = window_losses(other, nine_windows.consecutive(16), "toy", BATCH, beside=beside)
    assert found.divergence == pytest.approx(whole.divergence, rel=0.1) and found.divergence != whole.divergence


def test_states_that_are_not_finite_are_not_kept(nine_windows, tmp_path):
    broken = llama(0)
    with torch.no_grad():
        broken.model.layers[1].mlp.down_proj.weight[0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"leave the dense model's last block are not finite in torch.float32"):
        store_reference(broken, nine_windows.consecutive(16), tmp_path / "kept", {}, BATCH)
    assert not (tmp_path / "kept").exists()
