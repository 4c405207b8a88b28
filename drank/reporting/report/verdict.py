"""Who won and by how much, as sentences that follow from the numbers alone: like against like, and then the best of all kinds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from drank.reporting.names import BASELINE, listed, method_name, percent, span, unique
from drank.reporting.report.accuracy import best_accuracy
from drank.reporting.report.winners import DIGITS, EVERY, Contest, best_of_all, by_kind, contests, in_short, probability
from drank.reporting.tables.numbers import Entry, Numbers

__all__ = ["FOCUS", "Contest", "contests", "headline"]

FOCUS = "d-rank"
"""The method whose claim the report answers first, where it was run."""


CHANCE = "Chance is that of the windows or items measured on; draws of the text that methods calibrate on are another."
"""What the tests of a run are about."""

OVER_DRAWS = (
    "Over several draws of the calibration text perplexities, nats over dense and accuracies are means; paired differences and tests are "
    "of the first draw."
)
"""What stands for runs with several draws."""


def headline(models: Sequence[Numbers], decided: Sequence[Contest]) -> list[str]:
    """The answer in a few sentences: in short, where there are several kinds, and then of each kind and of all."""
    contested, accuracy = [contest for contest in decided if contest.gap is not None], best_accuracy(models)
    drawn = [OVER_DRAWS] * any(numbers.drawn for numbers in models)
    if not contested:
        none = "No two compressing methods were measured on the same corpus at the same ratio, so there is no winner by perplexity."
        return [none, *_of_chance(accuracy), *drawn]
    kinds = by_kind(contested)
    won = [_won(of_kind) for of_kind in kinds]
    short = [f"Lowest perplexity {in_short(contested)}."] if len(kinds) > 1 else []
    first = [*_of_chance([*short, *accuracy]), *won] if short else [*won, *_of_chance(accuracy)]
    return [*first, *drawn, *_alone(decided), *_focus(models), *_cost(decided)]


def _of_chance(said: Sequence[str]) -> list[str]:
    """The sentences, the last of them followed by what the chance is that they speak of."""
    return [*said[:-1], f"{said[-1]} {CHANCE}"] if said else []


def _won(contested: Sequence[Contest]) -> str:
    """Who has the lowest perplexity of one kind, or of all, how often, and whether that is more than chance."""
    wins = Counter(_named(contest) for contest in contested)
    leader, most = wins.most_common(1)[0]
    scope = f"({_scope(contested)})"
    if most == len(contested):
        where = f"all {most} comparisons" if most > 1 else "the only comparison"
        first = f"{leader} has the lowest perplexity in {where} {scope}"
    else:
        tally = ", ".join(f"{name} in {count}" for name, count in wins.most_common())
        first = f"no method wins everywhere; lowest perplexity in {len(contested)} comparisons {scope}: {tally}"
    among = contested[0].among
    return f"{among[0].upper()}{among[1:]}, {first}. {_tested(contested)}"


def _named(contest: Contest) -> str:
    """The winner, with its kind where the contest is between several."""
    return f"{contest.winner} ({contest.own_kind})" if contest.kind == EVERY else contest.winner


def _tested(contested: Sequence[Contest]) -> str:
    """What the tests against the runners-up say, and where they tell nothing, what they could have told."""
    if len(contested) == 1:
        one = contested[0]
        return (
            f"The difference to the runner-up {one.runner_up} is {one.margin} nats per token (after Holm's correction {one.significance})."
        )
    gaps = {contest: contest.gap for contest in contested if contest.gap is not None}
    told = [contest for contest, gap in gaps.items() if gap.told_apart]
    untold = {contest: gap for contest, gap in gaps.items() if not gap.told_apart}
    sentences = []
    if told:
        sizes, largest = [abs(gaps[one].value) for one in told], max(gaps[one].p_holm for one in told)
        limit, second = probability(largest).replace("=", "≤"), _tally(one.runner_up for one in told)
        where = f"each of the {len(told)}" if not untold else f"{len(told)} of the {len(gaps)}"
        sentences.append(
            f"The best is told apart from the runner-up ({second}) in {where}, by {span(sizes, DIGITS)} nats per token "
            f"({limit} after Holm's correction)."
        )
    if untold:
        where = f"{len(untold)} of the {len(gaps)}" if told else f"none of the {len(gaps)}"
        pairs = f" ({_tally(f'{one.winner} and {one.runner_up}' for one in untold)})"
        sizes = [gap.detectable for gap in untold.values() if gap.detectable > 0]
        power = f"; a difference of {span(sizes, DIGITS)} nats per token would have been found four times of five" if sizes else ""
        verb = "the best is not told apart from the runner-up" if told else "is the best told apart from the runner-up"
        sentences.append(f"In {where} {verb}{pairs}{power}.")
    return " ".join(sentences)


def _tally(names: Iterable[str]) -> str:
    """Names with how often each occurs, where there are several."""
    counts = Counter(names)
    return ", ".join(f"{name} in {count}" for name, count in counts.most_common()) if len(counts) > 1 else next(iter(counts))


def _alone(decided: Sequence[Contest]) -> list[str]:
    """Which methods have no rival of their kind, at no place where they were measured."""
    rivalled = {contest.kind for contest in decided if contest.gap is not None}
    alone = unique(f"{contest.winner} ({contest.kind})" for contest in decided if contest.kind not in rivalled)
    return (
        [f"{listed(alone)} {'have' if len(alone) > 1 else 'has'} no rival of {'their' if len(alone) > 1 else 'its'} kind."] if alone else []
    )


def _scope(contested: Sequence[Contest]) -> str:
    """How many models, ratios and corpora the comparisons are of, or out of where some are not measured."""
    axes = (("model", "models"), ("ratio", "ratios"), ("corpus", "corpora"))
    counts = [(len({getattr(contest, axis) for contest in contested}), axis, plural) for axis, plural in axes]
    whole = math.prod(count for count, *_ in counts) == len(contested)
    return ("" if whole else "out of ") + " × ".join(f"{count} {axis if count == 1 else plural}" for count, axis, plural in counts)


def _focus(models: Sequence[Numbers]) -> list[str]:
    """What D-Rank gains or loses against SVD-LLM, where both were run."""
    pairs = []
    for numbers in models:
        for ratio in numbers.ratios:
            for corpus in numbers.datasets("perplexity"):
                entry, other = Entry(FOCUS, ratio), Entry(BASELINE, ratio)
                gap = numbers.get(entry, corpus, f"perplexity_minus_{BASELINE}")
                one, two = numbers.get(entry, corpus, "perplexity"), numbers.get(other, corpus, "perplexity")
                if gap is not None and one is not None and two is not None:
                    pairs.append((gap, one.shown / two.shown - 1))
    if not pairs:
        return []
    which = " of the first draw" * any(numbers.drawn for numbers in models)
    better, worse = sum(gap.better for gap, _ in pairs), sum(gap.worse for gap, _ in pairs)
    return [
        f"Against {method_name(BASELINE)} at the same ratio, whatever their kinds, {method_name(FOCUS)} is significantly better in "
        f"{better} of {len(pairs)} comparisons, significantly worse in {worse}, and not distinguishable in {len(pairs) - better - worse} "
        f"(paired 95\u202f% intervals{which}): its perplexity is {_spread([change for _, change in pairs])}."
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


def _cost(decided: Sequence[Contest]) -> list[str]:
    """What even the best method of all loses against dense, by ratio."""
    best, lines = best_of_all(decided), []
    for ratio in sorted({contest.ratio for contest in decided}):
        rises = [one.value.shown / one.dense.shown - 1 for one in best if one.ratio == ratio and one.dense is not None]
        if rises:
            lines.append(f"{_spread(rises)} with {percent(ratio)} of the projections' parameters removed")
    return [f"Compared with the uncompressed model, the best method's perplexity is {'; '.join(lines)}."] if lines else []
