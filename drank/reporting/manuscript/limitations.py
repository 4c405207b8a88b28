"""What the results do not say: rules on records and checks, each of which yields a sentence only where it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from drank.reporting.manuscript.exhibits import Exhibit
from drank.reporting.names import corpus_of, listed, method_name, number, percent, refusals, unique
from drank.reporting.recipes import checkpoint, method_in
from drank.reporting.records import Record
from drank.reporting.report.beginnings import unseen
from drank.reporting.report.checks import Check
from drank.reporting.report.conditions import facts
from drank.reporting.report.random_draw import against_random_ranks
from drank.reporting.tables.numbers import Numbers
from drank.runtime.grouping import AVERAGE, in_group

FEW_WINDOWS = 128
"""Windows below which an interval of perplexity is wide against what methods differ by."""

FEW_ITEMS = 1000
"""Items of a task below which one standard error is over a point and a half."""

SMALL = 1e9
"""Parameters from which on a model is of a size that is used."""


@dataclass(frozen=True)
class Evidence:
    """What the rules read: records, their numbers by model, what is shown, checks, and by model the methods refused with the reason."""

    records: Sequence[Record]
    models: Sequence[Numbers]
    exhibits: Sequence[Exhibit]
    checks: Sequence[Check]
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def limitations(evidence: Evidence) -> list[str]:
    """The sentences, what failed first."""
    return [sentence for rule in RULES for sentence in rule(evidence)]


def _failed(evidence: Evidence) -> Iterator[str]:
    for check in evidence.checks:
        if not check.passed:
            yield f"A check of the pipeline fails on {check.model}, and what rests on it is in doubt: {check.name} ({check.text})."


def _passed(evidence: Evidence) -> Iterator[str]:
    passed = [check for check in evidence.checks if check.passed]
    if passed:
        named = [f"{name[0].lower()}{name[1:]}" for name in unique(check.name for check in passed)]
        yield f"Of {len(evidence.checks)} checks of the pipeline {len(passed)} hold: {'; '.join(named)}."


def _random(evidence: Evidence) -> Iterator[str]:
    yield from (sentence for sentence in against_random_ranks(evidence.models) if ", not on " in sentence)


def _small(evidence: Evidence) -> Iterator[str]:
    sizes = [record.size.parameters for record in evidence.records if not method_in(record.provenance["method"]).compresses]
    if sizes and max(sizes) < SMALL:
        yield (
            f"The largest model has {number(max(sizes) / 1e6)} million parameters: which methods win on it, and by how much, need not hold "
            "for models of a size that is used."
        )


def _windows(evidence: Evidence) -> Iterator[str]:
    counts = [len(found["window_loss"]) for record in evidence.records if record.kind == "perplexity" for found in record.detail.values()]
    if counts and min(counts) < FEW_WINDOWS:
        yield f"Perplexity rests on no more than {min(counts)} windows of a corpus, so small differences are within its intervals."


def _items(evidence: Evidence) -> Iterator[str]:
    rows = [row for record in evidence.records if record.kind == "zeroshot" for row in record.results if row.metric == "accuracy"]
    few = [row for row in rows if row.dataset != AVERAGE and not in_group(row.dataset) and row.count is not None and row.count < FEW_ITEMS]
    if few:
        least = min(few, key=lambda row: row.count or 0)
        errors = [row.stderr or 0 for row in few if row.dataset == least.dataset]
        error = f", one standard error of which is up to {100 * max(errors):.1f} points" if least.stderr else ""
        yield f"A task has no more than {least.count} items ({least.dataset}){error}."


def _draw(evidence: Evidence) -> Iterator[str]:
    texts = [record.provenance["calibration"] or {} for record in evidence.records]
    draws: dict[str, set[Any]] = {}
    for text in texts:
        if "corpus" in text:
            draws.setdefault(text["corpus"], set()).add(text.get("seed"))
    for corpus, seeds in draws.items():
        if len(seeds) == 1:
            who = "All methods were calibrated" if len(draws) == 1 else f"All methods that read {corpus} were calibrated"
            yield f"{who} on one draw of {corpus} (seed {seeds.pop()}): how far results hang on it is not measured."


def _own_text(evidence: Evidence) -> Iterator[str]:
    read = {text["corpus"] for record in evidence.records if "corpus" in (text := record.provenance["calibration"] or {})}
    measured = unique(row.dataset for record in evidence.records for row in record.results if row.metric == "perplexity")
    if own := [text for text in measured if corpus_of(text, read)]:
        yield f"Perplexity on {listed(own)} is on the corpus of calibration, which flatters methods that read it."


def _beginnings(evidence: Evidence) -> Iterator[str]:
    yield from unseen(evidence.records)


def _timing(evidence: Evidence) -> Iterator[str]:
    """Models of the same matrices, timed apart, tell the noise of timing."""
    spread, worst = 1.0, ""
    for one, two in combinations([record for record in evidence.records if record.kind == "throughput"], 2):
        if _matrices(one) == _matrices(two):
            speeds = {row.dataset: row.value for row in one.results if row.metric == "tokens_per_second"}
            for row in two.results:
                other = speeds.get(row.dataset) if row.metric == "tokens_per_second" else None
                factor = max(row.value / other, other / row.value) if other else 1.0
                if factor > spread:
                    pair = " and ".join(method_name(record.method) for record in (one, two))
                    spread, worst = factor, f"{row.dataset} of {pair} at {percent(one.ratio)}, {one.model}"
    if worst:
        yield f"Models of identical ranks differ by up to {spread:.2f}\u202f× in throughput ({worst}): differences within that are noise."


def _matrices(record: Record) -> tuple[object, ...]:
    """What decides the shapes of a model's matrices, where that is uniform ranks; of every other record something of its own."""
    method = method_in(record.provenance["method"])
    same = method.compresses and method.allocator == "uniform" and not method.beta
    return (record.model, record.ratio, method.group, method.scope, record.size) if same else (id(record),)


def _processor(evidence: Evidence) -> Iterator[str]:
    devices = {record.provenance["device"] for record in evidence.records if record.kind == "throughput"}
    if devices == {"cpu"}:
        yield "Throughput was measured on a processor alone and says little of graphics cards."


def _refused(evidence: Evidence) -> Iterator[str]:
    for model, reasons in evidence.refused.items():
        if reasons:
            yield f"On {model}: {refusals(reasons)}"


def _theirs(evidence: Evidence) -> Iterator[str]:
    others = [record for record in evidence.records if "bits" not in record.provenance.get("checkpoint", {}).get("source", {})]
    found = unique(f"{method_name(record.method)} ({place})" for record in others if (place := checkpoint(record.provenance)))
    if found:
        yield f"Made by others, from what and how we did not control, and at no ratio of ours: {listed(found)}."


def _mixed(evidence: Evidence) -> Iterator[str]:
    for fact in facts(evidence.records):
        if fact.mixed:
            yield f"Not all records were made alike, they differ in {fact.name}: {listed(fact.values)}."


def _published(evidence: Evidence) -> Iterator[str]:
    if any(exhibit.material.published is not None and len(exhibit.material.published) for exhibit in evidence.exhibits):
        yield "Published values were measured by others with texts and windows of their own: beside ours, only trends compare."


RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    *(_failed, _beginnings, _small, _windows, _items, _draw, _own_text, _random, _timing, _processor),
    *(_refused, _theirs, _published, _mixed, _passed),
)
"""The rules in the order of their sentences."""
