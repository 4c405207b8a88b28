"""From the seconds of rounds to rates: tokens per second, and those over the dense model's in the same rounds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from drank.evaluation.throughput import Timing


def speed(timing: Timing, phase: str, reference: Timing | None) -> float:
    """The median over the rounds of rounds per second, or of that over the dense model's in the same round, where it was timed."""
    return statistics.median(_over(timing, phase, reference) if reference else [1 / second for second in timing.seconds[phase]])


def rows_of(timing: Timing, tokens: Mapping[str, int], reference: Timing | None, noise: Mapping[str, float]) -> list[dict[str, Any]]:
    """The result rows of one model from its timing and the tokens of a round by phase.

    For each phase `tokens_per_second` (median and quartiles over the rounds), `speedup_over_dense` where `reference` is the timing of the
    dense model in the same process (median and quartiles of the ratio within each round, in which both met the same machine), and
    `noise_ratio` where `noise` has it. Then the bytes of `Timing.memory`, under the data set `memory`.
    """
    rows = []
    for phase, seconds in timing.seconds.items():
        rows.append(_row(phase, "tokens_per_second", [tokens[phase] / second for second in seconds]))
        if reference is not None:
            rows.append(_row(phase, "speedup_over_dense", _over(timing, phase, reference)))
        if phase in noise:
            rows.append({"dataset": phase, "metric": "noise_ratio", "value": noise[phase], "count": len(seconds)})
    return rows + [{"dataset": "memory", "metric": metric, "value": count} for metric, count in timing.memory.items()]


def _over(timing: Timing, phase: str, reference: Timing) -> list[float]:
    """The speed of every round over that of the reference in the same round."""
    return [theirs / own for own, theirs in zip(timing.seconds[phase], reference.seconds[phase], strict=True)]


def _row(phase: str, metric: str, values: list[float]) -> dict[str, Any]:
    """A result row: the median over the rounds, and the quartiles as its interval."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"dataset": phase, "metric": metric, "value": median, "ci_low": low, "ci_high": high, "count": len(values)}
