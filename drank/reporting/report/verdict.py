"""Who won and by how much, as sentences and rows that follow from the numbers alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drank.reporting.comparisons import AVERAGE
from drank.reporting.names import BASELINE, method_name, number, percent
from drank.reporting.tables.numbers import Entry, Numbers, Value
from drank.reporting.tables.quantities import interval, signed

FOCUS = "d-rank"
"""The method whose claim the report answers first, where it was run."""


@dataclass(frozen=True)
class Contest:
    """One model, ratio and corpus: the best competing method and what it is to be compared with."""

    model: str
    ratio: float
    corpus: str
    method: str
    value: Value
    rivals: int
    next_best: tuple[str, Value] | None
    dense: Value | None
    to_baseline: Value | None
    next_to_baseline: Value | None

    @property
    def winner(self) -> str:
        """The printed name of the best method."""
        return method_name(self.method)

    @property
    def perplexity(self) -> str:
        """The winner's perplexity as printed."""
        return number(self.value.value)

    @property
    def over_dense(self) -> str:
        """By how many percent it exceeds dense, empty without dense."""
        return "" if self.dense is None else f"{signed(100 * (self.value.value / self.dense.value - 1), 1)}\u202f%"

    @property
    def margin(self) -> str:
        """The paired difference that decides whether the win could be chance."""
        if self.method == BASELINE and self.next_best is not None:
            rival = f"{method_name(self.next_best[0])} is {signed(self.next_best[1].value - self.value.value)}"
            return f"{rival} {interval(self.next_to_baseline)}" if self.next_to_baseline is not None else rival
        return "" if self.to_baseline is None else f"{signed(self.to_baseline.value)} {interval(self.to_baseline)}"

    @property
    def significance(self) -> str:
        """What the paired interval says of the win, in words."""
        baseline = method_name(BASELINE)
        if self.next_best is None:
            return "the only method measured"
        if self.method == BASELINE:
            against, rival = self.next_to_baseline, method_name(self.next_best[0])
            clear = against is not None and against.worse
        else:
            against, rival = self.to_baseline, baseline
            clear = against is not None and against.better
        if against is None:
            return f"no paired interval to {baseline}"
        return f"significantly better than {rival}" if clear else f"not distinguishable from {rival}"


def contests(models: Iterable[Numbers]) -> list[Contest]:
    """Every model, ratio and corpus in which a competing method has a perplexity."""
    found = []
    for numbers in models:
        for ratio in numbers.ratios:
            for corpus in numbers.datasets("perplexity"):
                ranking = numbers.ranking(ratio, corpus, "perplexity")
                if ranking:
                    found.append(_contest(numbers, ratio, corpus, ranking))
    return found


def _contest(numbers: Numbers, ratio: float, corpus: str, ranking: Sequence[tuple[Entry, Value]]) -> Contest:
    """The contest that this ranking decides."""
    (best, value), second = ranking[0], ranking[1] if len(ranking) > 1 else None
    metric = f"perplexity_minus_{BASELINE}"
    return Contest(
        numbers.model,
        ratio,
        corpus,
        best.method,
        value,
        len(ranking),
        None if second is None else (second[0].method, second[1]),
        None if numbers.dense is None else numbers.get(numbers.dense, corpus, "perplexity"),
        numbers.get(best, corpus, metric),
        None if second is None else numbers.get(second[0], corpus, metric),
    )


def headline(models: Sequence[Numbers], decided: Sequence[Contest]) -> list[str]:
    """The answer in a few sentences; the first says who won."""
    contested = [contest for contest in decided if contest.rivals > 1]
    if not contested:
        return ["No two compressing methods were measured on the same corpus at the same ratio, so there is no winner by perplexity."]
    wins = Counter(contest.method for contest in contested)
    tally = ", ".join(f"{method_name(method)} {count}" for method, count in wins.most_common())
    leader, most = wins.most_common(1)[0]
    if most == len(contested):
        where = f"all {most} comparisons" if most > 1 else "the only comparison"
        first = f"{method_name(leader)} has the lowest perplexity in {where} ({_scope(contested)})."
    else:
        first = f"No method wins everywhere. Lowest perplexity in {len(contested)} comparisons ({_scope(contested)}): {tally}."
    return [first, *_focus(models, contested), *_cost(contested)]


def _scope(contested: Sequence[Contest]) -> str:
    """How many models, ratios and corpora the comparisons span."""
    kinds = (("model", "models"), ("ratio", "ratios"), ("corpus", "corpora"))
    counts = [
        (len({getattr(contest, kind) for contest in contested}), kind, plural if plural != kind else f"{kind}s") for kind, plural in kinds
    ]
    whole = math.prod(count for count, *_ in counts) == len(contested)
    return (" × " if whole else ", ").join(f"{count} {kind if count == 1 else plural}" for count, kind, plural in counts)


def _focus(models: Sequence[Numbers], contested: Sequence[Contest]) -> list[str]:
    """What D-Rank gains or loses against SVD-LLM, where both were run."""
    pairs = []
    for numbers in models:
        for ratio in numbers.ratios:
            for corpus in numbers.datasets("perplexity"):
                entry, other = Entry(FOCUS, ratio), Entry(BASELINE, ratio)
                gap = numbers.get(entry, corpus, f"perplexity_minus_{BASELINE}")
                one, two = numbers.get(entry, corpus, "perplexity"), numbers.get(other, corpus, "perplexity")
                if gap is not None and one is not None and two is not None:
                    pairs.append((gap, one.value / two.value - 1))
    if not pairs:
        return []
    better, worse = sum(gap.better for gap, _ in pairs), sum(gap.worse for gap, _ in pairs)
    wins = sum(contest.method == FOCUS for contest in contested)
    start = "" if wins == len(contested) else f"{method_name(FOCUS)} wins {wins} of {len(contested)}. "
    return [
        f"{start}Against {method_name(BASELINE)} at the same ratio, {method_name(FOCUS)} is significantly better in {better} of "
        f"{len(pairs)} comparisons, significantly worse in {worse}, and not distinguishable in {len(pairs) - better - worse} "
        f"(paired 95\u202f% intervals): its perplexity is {_spread([change for _, change in pairs])}."
    ]


def _spread(changes: Sequence[float]) -> str:
    """A range of relative changes in words, such as `2.3 to 8.3 % lower`."""
    low, high = 100 * min(changes), 100 * max(changes)
    ends = [f"{abs(end):.1f}" for end in (low, high)]
    if low < 0 < high and ends != ["0.0", "0.0"]:
        return f"between {ends[0]}\u202f% lower and {ends[1]}\u202f% higher"
    word = "lower" if low < 0 else "higher"
    ends = sorted(ends, key=float)
    return f"{ends[0]}\u202f% {word}" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}\u202f% {word}"


def _cost(contested: Sequence[Contest]) -> list[str]:
    """What even the best method loses against dense, by ratio."""
    lines = []
    for ratio in sorted({contest.ratio for contest in contested}):
        rises = [one.value.value / one.dense.value - 1 for one in contested if one.ratio == ratio and one.dense is not None]
        if rises:
            lines.append(f"{_spread(rises)} with {percent(ratio)} of the projections' parameters removed")
    return [f"Compared with the uncompressed model, the best method's perplexity is {'; '.join(lines)}."] if lines else []


def accuracy_lines(numbers: Numbers) -> list[str]:
    """For each ratio, what the best method keeps of the average accuracy, and what it gains over SVD-LLM."""
    sentences = []
    for ratio in numbers.ratios:
        ranking = numbers.ranking(ratio, AVERAGE, "accuracy", low=False)
        if not ranking:
            continue
        best, value = ranking[0]
        text = f"{percent(ratio)} removed: {method_name(best.method)} keeps the highest average accuracy, {100 * value.value:.1f}\u202f%"
        text += _points(numbers.get(best, AVERAGE, "accuracy_minus_dense"), "the uncompressed model")
        text += _points(numbers.get(best, AVERAGE, f"accuracy_minus_{BASELINE}"), method_name(BASELINE))
        sentences.append(f"{text}.")
    return sentences


def _points(change: Value | None, reference: str) -> str:
    """A difference in percentage points with its interval, and whether it is more than noise."""
    if change is None:
        return ""
    noise = "" if change.better or change.worse else ", not significant"
    return f"; {signed(100 * change.value, 1)} points {interval(change, 1, 100)} against {reference}{noise}"
