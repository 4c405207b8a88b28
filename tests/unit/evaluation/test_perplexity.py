"""Perplexity against a loop written out in float64, window by window and token by token."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.calibration.moments import NonFiniteError
from drank.corpora.windows import Tokens
from drank.evaluation.losses import WindowLosses, window_losses
from drank.runtime.shares import Share
from tests.unit.evaluation.measuring import measure


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def text() -> Tokens:
    """Four windows of 16 and a tail of 6."""
    ids = torch.randint(0, 50, (70,), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    return Tokens(ids, "toy", "test", "a" * 64, "b" * 64)


def by_hand(model: LlamaForCausalLM, windows: list[list[int]]) -> tuple[list[float], list[int]]:
    """Per window: Σ −ln p(token t | tokens before t), t from the second token on; the model in float64."""
    wide = LlamaForCausalLM(model.config).double().eval()
    wide.load_state_dict(model.state_dict())
    losses = []
    for window in windows:
        with torch.no_grad():
            logits = wide(torch.tensor([window])).logits[0]
        assert logits.dtype == torch.float64
        loss = 0.0
        for position in range(1, len(window)):
            row = logits[position - 1].tolist()
            loss += math.log(math.fsum(math.exp(value) for value in row)) - row[window[position]]
        losses.append(loss)
    return losses, [len(window) - 1 for window in windows]


def test_losses_and_both_means_are_those_of_a_loop_by_hand(model, text):
    ids = text.ids.tolist()
    windows = [ids[start : start + 16] for start in range(0, 70, 16)]
    assert [len(window) for window in windows] == [16, 16, 16, 16, 6]
    losses, tokens = by_hand(model, windows)
    found = window_losses(model, text.consecutive(16), "toy", batch=3)
    assert found.tokens == tokens == [15, 15, 15, 15, 5]
    assert found.loss == pytest.approx(losses, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(sum(losses) / 65), rel=1e-5)
    assert found.window_mean == pytest.approx(math.exp(sum(a / b for a, b in zip(losses, tokens, strict=True)) / 5), rel=1e-5)
    assert abs(found.perplexity - found.window_mean) > 1e-3, "a short last window tells the means apart"


def test_means_of_given_losses():
    losses = WindowLosses([3 * math.log(2), math.log(32)], [3, 1])
    assert losses.perplexity == pytest.approx(2 ** (8 / 4))
    assert losses.window_mean == pytest.approx(2 ** ((1 + 5) / 2))


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
def test_the_batch_size_does_not_matter(model, text, batch):
    reference = window_losses(model, text.consecutive(16), "toy", batch=4)
    found = window_losses(model, text.consecutive(16), "toy", batch=batch)
    assert found.tokens == reference.tokens
    assert found.loss == pytest.approx(reference.loss, rel=1e-6)


def test_windows_do_not_see_each_other(model, text):
    windows = text.consecutive(16)
    alone = window_losses(model, windows[2:3], "toy").loss[0]
    assert window_losses(model, windows, "toy", batch=4).loss[2] == pytest.approx(alone, rel=1e-6)


def test_logits_in_half_precision_are_widened_before_the_loss(model, text):
    half = LlamaForCausalLM(model.config).to(torch.bfloat16).eval()
    half.load_state_dict(model.state_dict())
    windows = text.consecutive(16, 1)
    with torch.no_grad():
        logits = half(windows[0][None]).logits[0, :-1].float()
    expected = torch.nn.functional.cross_entropy(logits, windows[0][1:], reduction="sum").item()
    assert window_losses(half, windows, "toy").loss[0] == pytest.approx(expected, rel=1e-6)


def test_a_window_that_is_not_finite_is_refused_and_named(model, text):
    broken = LlamaForCausalLM(model.config).eval()
    broken.load_state_dict(model.state_dict())
    rare = next(i for i in range(50) if i not in text.ids[:32] and i in text.ids[32:48])
    broken.model.embed_tokens.weight.data[rare] = math.nan
    with pytest.raises(NonFiniteError, match=r"the loss of window 2 of toy is nan.*float32"):
        window_losses(broken, text.consecutive(16), "toy", batch=2)
    assert window_losses(broken, text.consecutive(16, 2), "toy").tokens == [15, 15]


def test_measure_reports_both_means_the_interval_the_counts_and_the_hashes(model, text):
    other = Tokens(text.ids.flip(0), "other", "test", "c" * 64, "d" * 64)
    rows, detail = measure(model, [text, other], 16, None, 2)
    assert [(row["dataset"], row["metric"]) for row in rows] == [
        (name, metric) for name in ("toy", "other") for metric in ("perplexity", "perplexity_window_mean", "calibration_error")
    ]
    losses = window_losses(model, text.consecutive(16), "toy")
    assert rows[0]["value"] == pytest.approx(losses.perplexity, rel=1e-6)
    assert rows[1]["value"] == pytest.approx(losses.window_mean, rel=1e-6)
    assert rows[0]["ci_low"] < rows[0]["value"] < rows[0]["ci_high"] and rows[0]["count"] == 65
    assert "ci_low" not in rows[1]
    assert detail["toy"]["window_loss"] == pytest.approx(losses.loss, rel=1e-6)
    assert detail["toy"]["window_tokens"] == [15, 15, 15, 15, 5]
    assert (detail["other"]["text_sha256"], detail["other"]["tokens_sha256"]) == ("c" * 64, "d" * 64)


def test_measure_reads_the_first_windows_only(model, text):
    rows, detail = measure(model, [text], 16, 2)
    assert rows[0]["count"] == 30 and len(detail["toy"]["window_loss"]) == 2
    expected = window_losses(model, [text.ids[:16].long(), text.ids[16:32].long()], "toy").perplexity
    assert rows[0]["value"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_shares_of_the_windows_lose_what_they_lose_in_one_job_to_the_last_bit(model, text, batch, count):
    whole = window_losses(model, text.consecutive(16), "toy", batch)
    parts = [window_losses(model, text.consecutive(16), "toy", batch, Share(number, count)) for number in range(1, count + 1)]
    assert WindowLosses.joined(parts) == whole
    assert [len(part.loss) for part in parts] != [5] + [0] * (count - 1), "the work is divided"


def test_a_window_of_a_share_is_named_by_its_number_in_the_text(model, text):
    broken = LlamaForCausalLM(model.config).eval()
    broken.load_state_dict(model.state_dict())
    rare = next(i for i in range(50) if i not in text.ids[:48] and i in text.ids[48:64])
    broken.model.embed_tokens.weight.data[rare] = math.nan
    with pytest.raises(NonFiniteError, match="the loss of window 3 of toy is nan"):
        window_losses(broken, text.consecutive(16), "toy", 1, Share(2, 2))
