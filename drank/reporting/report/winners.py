"""Who is best at each model, ratio and corpus, of each kind and of all kinds, and what the test against the runner-up says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from drank.reporting.contests import OF_ALL, OF_KIND
from drank.reporting.kinds import methods_of
from drank.reporting.names import listed, method_name, number, unique
from drank.reporting.tables.numbers import Entry, Numbers, Value
from drank.reporting.tables.quantities import interval, signed

EVERY = "all kinds"
"""What stands as the kind of a contest between methods of several kinds."""

DIGITS = 4
"""Of differences in nats per token."""


@dataclass(frozen=True)
class Contest:
    """One model, ratio and corpus: the best method of a kind, or of `EVERY`, and its difference to the runner-up where it has one."""

    model: str
    ratio: float
    corpus: str
    kind: str
    own_kind: str
    method: str
    value: Value
    gap: Value | None
    dense: Value | None

    @property
    def among(self) -> str:
        """Of whom it is the best: `of the training-free methods with two factors`."""
        return "over all kinds" if self.kind == EVERY else f"of the {methods_of(self.kind)}"

    @property
    def winner(self) -> str:
        """The printed name of the best method."""
        return method_name(self.method)

    @property
    def runner_up(self) -> str:
        """The printed name of the second, empty where there is none."""
        return method_name(self.gap.rival) if self.gap is not None else ""

    @property
    def perplexity(self) -> str:
        """The winner's perplexity as printed."""
        return number(self.value.shown)

    @property
    def over_dense(self) -> str:
        """By how many percent it exceeds dense, empty without dense."""
        return "" if self.dense is None else f"{signed(100 * (self.value.shown / self.dense.shown - 1), 1)}\u202f%"

    @property
    def margin(self) -> str:
        """The paired difference to the runner-up in nats per token, with its interval; empty without one."""
        return "" if self.gap is None else f"{signed(self.gap.value, DIGITS)} {interval(self.gap, DIGITS)}".rstrip()

    @property
    def significance(self) -> str:
        """What the test against the runner-up says of the win, in words."""
        return "no rival of its kind" if self.gap is None else said_of(self.gap, DIGITS)


def said_of(gap: Value, digits: int, scale: float = 1) -> str:
    """Whether a best is told apart from its runner-up, after Holm's correction, and if not what would have been.

    Tests are of the first draw of the calibration text: where another is the best there, nothing was tested of the best by the means.
    """
    if gap.place > 1:
        return "not told apart: on the first draw of the calibration text, which is tested, the runner-up is ahead"
    if gap.told_apart:
        return f"told apart, {probability(gap.p_holm)}"
    if not gap.detectable > 0:
        return "not told apart: too little was measured to tell"
    return f"not told apart, {probability(gap.p_holm)}; {number(scale * gap.detectable, digits)} would have been found"


def probability(value: float) -> str:
    """A p-value in print."""
    return f"p {'< 0.001' if value < 0.001 else f'= {min(value, 1):.3f}'}"


def contests(models: Iterable[Numbers]) -> list[Contest]:
    """The contests of perplexity, those of each kind in the order of its first method, then that of all kinds where several compete."""
    return [
        contest
        for numbers in models
        for ratio in numbers.ratios
        for corpus in numbers.compared(ratio, "perplexity")
        for contest in winners(numbers, ratio, corpus, "perplexity", "log_perplexity", low=True)
    ]


def winners(numbers: Numbers, ratio: float, dataset: str, metric: str, difference: str, *, low: bool) -> Iterator[Contest]:
    """The contests of one metric at one place; `difference` is what the differences of the metric are called."""
    ranking = numbers.ranking(ratio, dataset, metric, low=low)
    kinds = unique(numbers.kind(entry) for entry in numbers.competing(ratio) if entry in {ranked for ranked, _ in ranking})
    dense = None if numbers.dense is None else numbers.get(numbers.dense, dataset, metric)

    def contest(kind: str, best: Entry, value: Value, ending: str) -> Contest:
        gap = numbers.get(best, dataset, f"{difference}_{ending}")
        return Contest(numbers.model, ratio, dataset, kind, numbers.kind(best), best.method, value, gap, dense)

    for kind in kinds:
        yield contest(kind, *next(found for found in ranking if numbers.kind(found[0]) == kind), OF_KIND)
    if len(kinds) > 1:
        yield contest(EVERY, *ranking[0], OF_ALL)


def best_of_all(decided: Iterable[Contest]) -> list[Contest]:
    """Of each model, ratio and corpus the contest whose winner has the lowest perplexity."""
    best: dict[tuple[str, float, str], Contest] = {}
    for one in decided:
        place = one.model, one.ratio, one.corpus
        best[place] = min(one, best.get(place, one), key=lambda contest: contest.value.shown)
    return list(best.values())


def by_kind(contested: Iterable[Contest]) -> list[list[Contest]]:
    """The contests of each kind, in the order of its first, and those of all kinds last."""
    found: dict[str, list[Contest]] = {}
    for contest in contested:
        found.setdefault(contest.kind, []).append(contest)
    return sorted(found.values(), key=lambda contests: contests[0].kind == EVERY)


def in_short(contested: Iterable[Contest]) -> str:
    """Who wins most often of each kind and of all, and how many of these wins are more than chance."""
    return "; ".join(map(_how_often, by_kind(contested)))


def _how_often(contested: Sequence[Contest]) -> str:
    wins = Counter(contest.winner for contest in contested)
    most, whole = max(wins.values()), len(contested)
    leaders = [winner for winner, count in wins.items() if count == most]
    told = sum(contest.gap is not None and contest.gap.told_apart for contest in contested if contest.winner in leaders)
    often = f"in all {whole} comparisons" if most == whole else f"in {most} of {whole} comparisons{' each' if len(leaders) > 1 else ''}"
    often = "in the only comparison" if whole == 1 else often
    beyond = ("" if told else "not ") if whole == 1 else "all of these " if told == most * len(leaders) > 1 else f"{told or 'none'} "
    return f"{contested[0].among}: {listed(leaders)} {often}, {beyond}by more than chance"
