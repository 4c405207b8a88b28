"""How methods stand against one draw of random ranks under the same budget: a result of theirs, which says nothing against the pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from drank.methods import METHODS
from drank.reporting.contests import OF_KIND
from drank.reporting.names import BASELINE, method_name, percent, unique
from drank.reporting.report.verdict import FOCUS
from drank.reporting.report.winners import DIGITS
from drank.reporting.tables.numbers import Entry, Numbers
from drank.reporting.tables.quantities import signed
from drank.variants import is_variant


def against_random_ranks(models: Sequence[Numbers]) -> list[str]:
    """A sentence for each method that was held against such a draw: in how many comparisons of perplexity it is better, and where not.

    Variants of either, which an artefact compares, are in none.
    """
    sentences = []
    for method in dict.fromkeys(entry.method for numbers in models for entry in numbers.controls if not is_variant(entry.method)):
        for rival in (FOCUS, BASELINE) if METHODS[method].allocator == "random" else ():
            outcomes = [outcome for numbers in models for outcome in _compared(numbers, method, rival)]
            lost = [where for better, where in outcomes if not better]
            if outcomes:
                told = f"{len(outcomes) - len(lost)} of {len(outcomes)} comparisons with one draw of random ranks"
                where = f", not on {'; '.join(lost)}" if lost else ""
                sentences.append(f"{method_name(rival)} has the lower perplexity in {told}, whatever their kinds{where}.")
        sentences += _to_the_best(models, method) if METHODS[method].allocator == "random" else []
    return sentences


def _to_the_best(models: Sequence[Numbers], method: str) -> list[str]:
    """How far the draw lies from the best methods of its kind, and how often by more than chance."""
    gaps = [
        gap
        for numbers in models
        for entry in numbers.controls
        for corpus in numbers.datasets("perplexity")
        if entry.method == method and (gap := numbers.get(entry, corpus, f"log_perplexity_{OF_KIND}")) is not None
    ]
    if not gaps:
        return []
    ends = " to ".join(unique(signed(pick(gap.value for gap in gaps), DIGITS) for pick in (min, max)))
    return [
        f"{method_name(method)}, a control, lie {ends} nats per token from the best method of their kind: above it by more than chance in "
        f"{sum(gap.worse for gap in gaps)} of {len(gaps)} comparisons, below it in {sum(gap.better for gap in gaps)} "
        f"(paired 95\u202f% intervals{' of the first draw of the calibration text' * any(numbers.drawn for numbers in models)})."
    ]


def _compared(numbers: Numbers, method: str, rival: str) -> list[tuple[bool, str]]:
    """For each ratio and corpus whether the rival of random ranks is better, and where that is."""
    outcomes = []
    for ratio in numbers.ratios:
        for corpus in numbers.datasets("perplexity"):
            drawn, own = (numbers.get(Entry(one, ratio), corpus, "perplexity") for one in (method, rival))
            if drawn is not None and own is not None:
                outcomes.append((own.shown < drawn.shown, f"{corpus} at {percent(ratio)} ({numbers.model})"))
    return outcomes
