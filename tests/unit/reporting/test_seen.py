"""The sentences on what models may owe to the text that they were made on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drank.reporting.records import Record, Result
from drank.reporting.report.seen import fitted, overfitting, seen
from tests.unit.records_fixture import perplexity_record


def record(method: str = "svd-llm", ratio: float = 0.2, rows: tuple[Result, ...] = (), **told: Any) -> Record:
    one = perplexity_record("docs-mha", method, ratio)
    return replace(one, results=(*one.results, *rows), provenance={**one.provenance, **told})


def rises(read: float, unread: float, half: float = 0.02) -> tuple[Result, ...]:
    gap = unread - read
    told = {"rise_on_read": read, "rise_on_unread": unread}
    rows = [Result("wiki.train", name, value, value - 0.01, value + 0.01, 16) for name, value in told.items()]
    return (*rows, Result("wiki.train", "overfitting", gap, gap - half, gap + half, 16))


def test_nothing_is_said_where_nothing_is_to_be_said() -> None:
    records = [record(), record(overlap={"wiki.test": {"wiki.train": 0.01}}, tokens_per_channel=40.0)]
    assert seen(records) == overfitting(records) == []


def test_overlaps_are_told_by_their_size() -> None:
    shares = {"wiki.test": {"wiki.train": 0.034, "code.train": 0.004}, "ptb.test": {"wiki.train": 0.21}}
    records = [record(overlap=shares), record("d-rank", overlap=shares)]
    (warning,) = seen(records)
    assert warning.startswith(
        "docs-mha: 21.0\u202f% of the runs of 50 tokens of ptb.test stand word for word in wiki.train: as good as one"
    )
    assert overfitting(records) == ["docs-mha: 3.4\u202f% of the runs of 50 tokens of wiki.test stand word for word in wiki.train."]


def test_little_text_is_a_warning_that_names_who_read_it() -> None:
    records = [record(tokens_per_channel=39.9), record("d-rank", tokens_per_channel=10.0), record("basis-sharing", tokens_per_channel=39.9)]
    (warning,) = seen(records)
    assert warning.startswith("docs-mha: little text to calibrate on, fewer than 40 tokens a channel")
    assert "(10.0 for D-Rank; 39.9 for SVD-LLM, Basis Sharing)" in warning


def test_overfitting_is_told_of_the_method_that_does_most_at_each_ratio() -> None:
    records = [record(rows=rises(0.096, 0.167)), record("d-rank", rows=rises(0.1, 0.11)), record("d-rank", 0.4, rows=rises(0.2, 0.19))]
    assert fitted(records) == [
        "Overfitting to wiki.train at 20\u202f%: SVD-LLM on docs-mha loses to the dense "
        "model 0.096 nats per token on windows that it was "
        "calibrated on and 0.167 on others of that text (+0.071 [+0.051, +0.091])."
    ]
    assert overfitting(records) == [
        "Overfitting to wiki.train at 40\u202f%: D-Rank on docs-mha loses to the dense model 0.200 nats per token on windows that it was "
        "calibrated on and 0.190 on others of that text (−0.010 [−0.030, +0.010]).",
    ]


def test_overfitting_beyond_chance_is_not_hidden_by_more_that_may_be_chance() -> None:
    records = [record(rows=rises(0.1, 0.18, half=0.09)), record("d-rank", rows=rises(0.1, 0.15))]
    (sentence,) = fitted(records)
    assert sentence.startswith("Overfitting to wiki.train at 20\u202f%: D-Rank on docs-mha")
    assert overfitting(records) == []


def test_why_it_was_not_measured_is_told_once() -> None:
    why = {"text": {}, "reason": "wiki.train has no window of 256 tokens that was not read"}
    records = [record(overfitting=why), record("d-rank", overfitting=why)]
    assert overfitting(records) == ["docs-mha: overfitting is not measured: wiki.train has no window of 256 tokens that was not read."]
