"""The rise of the loss on text that was read and on text that was not, against transformers, SciPy and draws whose difference is known."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import cross_entropy

from drank.corpora.windows import Tokens
from drank.evaluation.losses import WindowLosses
from drank.evaluation.overfitting import Overfitting, places_in
from drank.runtime.shares import Share
from tests.unit.evaluation.measuring import llama

READ = {"corpus": "toy", "split": "train", "windows": 5, "length": 8, "seed": 13, "batch": 2, "bos": "text"}


@pytest.fixture(scope="module")
def text() -> Tokens:
    ids = torch.randint(0, 50, (400,), generator=torch.Generator().manual_seed(2), dtype=torch.int32)
    return Tokens(ids, "toy", "train", "a" * 64, "b" * 64)


def of(text: Tokens, count: int, **options: object) -> Overfitting:
    """What is measured of this text, read as usual but for some options."""
    read = READ | options
    return Overfitting(text, text.facts(read), *places_in(text, read, count))


def with_rises(read: list[float], unread: list[float]) -> tuple[list[dict], dict]:
    """The rows and what is told of these rises, of windows of 4 predicted tokens."""
    ids = torch.zeros(400, dtype=torch.int32)
    zeros, rises = [0.0] * len([*read, *unread]), [4 * rise for rise in [*read, *unread]]
    places = [*range(0, 8 * len(read), 8)], [*range(200, 200 + 8 * len(unread), 8)]
    one = Overfitting(Tokens(ids, "toy", "train", "a", "b"), {"length": 5}, *places, WindowLosses(zeros, [4] * len(zeros)))
    return one.summarised(WindowLosses(rises, [4] * len(rises)))


def test_the_windows_read_are_the_first_that_were_drawn_and_the_others_overlap_none_that_was(text):
    drawn = [window.tolist() for window in text.drawn(READ)]
    one = of(text, 3)
    assert text.at(torch.tensor(one.read), 8).tolist() == drawn[:3]
    taken = text.places(8, 5, 13).tolist()
    assert len(one.unread) == 3 and all(abs(place - other) >= 8 for place in one.unread for other in taken)
    assert of(text, 16).read == taken and len(of(text, 16).unread) == 16
    assert len(of(text, 16, gradient_windows=2).read) == 2, "no more than every pass has read"
    assert of(text, 3, seed=14).unread != one.unread


def test_losses_are_those_that_transformers_finds_and_shares_join(text):
    one, model = of(text, 4), llama(0)
    windows = text.at(torch.tensor([*one.read, *one.unread]), 8)
    with torch.inference_mode():
        expected = [float(cross_entropy(model(window[None]).logits[0, :-1], window[1:], reduction="sum")) for window in windows]
    found = one.losses(model)
    assert found.loss == pytest.approx(expected, rel=1e-5) and found.tokens == [7] * 8
    wanted = one.wanted({"model": "m"})
    assert (wanted.kind, wanted.dataset) == ("perplexity", "toy.train, read and unread")
    parts = [WindowLosses(**wanted.measure(model, Share(part, 2))) for part in (1, 2)]
    assert asdict(WindowLosses.joined(parts)) == asdict(found)
    assert wanted.key != of(text, 4, seed=14).wanted({"model": "m"}).key


def test_a_model_that_is_the_dense_one_rises_nowhere(text):
    model = llama(0)
    one = of(text, 4)
    rows, told = Overfitting.of(text, one.told(one.losses(model))).summarised(one.losses(model))
    assert {row["metric"]: row["value"] for row in rows} == {"rise_on_read": 0, "rise_on_unread": 0, "overfitting": 0}
    assert {row["dataset"] for row in rows} == {"toy.train"} and "reason" not in told
    with pytest.raises(ValueError, match=r"on toy\.train are of another text"):
        Overfitting.of(Tokens(text.ids, "toy", "train", "a" * 64, "c" * 64), one.told(one.losses(model)))


def test_intervals_are_those_of_student_and_welch():
    draw = np.random.default_rng(0)
    read, unread = draw.normal(0.1, 0.02, 16).tolist(), draw.normal(0.17, 0.05, 11).tolist()
    rows, told = with_rises(read, unread)
    found = {row["metric"]: (row["value"], row["ci_low"], row["ci_high"], row["count"]) for row in rows}
    for metric, values in {"rise_on_read": read, "rise_on_unread": unread}.items():
        ends = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert found[metric] == pytest.approx((np.mean(values), *ends, len(values)))
    ends = stats.ttest_ind(unread, read, equal_var=False).confidence_interval(0.95)
    assert found["overfitting"] == pytest.approx((np.mean(unread) - np.mean(read), *ends, 11))
    assert told["rise_on_read"] == pytest.approx(read) and told["rise_on_unread"] == pytest.approx(unread)
    assert len(told["read"]) == 16 and len(told["unread"]) == 11


def test_the_interval_holds_a_known_difference_as_often_as_it_says():
    draw, held = np.random.default_rng(1), 0
    for _ in range(1500):
        rows, _ = with_rises(draw.gamma(4, 0.025, 16).tolist(), draw.gamma(4, 0.04, 16).tolist())
        held += rows[2]["ci_low"] <= 0.06 <= rows[2]["ci_high"]
    assert 0.93 <= held / 1500 <= 0.97


def test_where_nothing_is_left_to_read_the_row_is_left_out_for_a_reason():
    rows, told = with_rises([0.1, 0.2], [])
    assert [row["metric"] for row in rows] == ["rise_on_read"]
    assert told["reason"] == "toy.train has no window of 5 tokens that was not read"


def test_one_window_alone_has_no_interval():
    rows, _ = with_rises([0.1], [0.3])
    assert [row["value"] for row in rows] == pytest.approx([0.1, 0.3, 0.2]) and not any("ci_low" in row for row in rows)
