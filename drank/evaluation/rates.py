"""From the seconds of rounds to rows: rates, times, and what they are beside the dense model and the ceilings, in the same rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drank.evaluation.execution import labelled
from drank.evaluation.other_load import crowded
from drank.evaluation.timing import Machine, Timing
from drank.runtime.device import processors
from drank.statistics.intervals import Interval
from drank.statistics.medians import median_interval

BY_VLLM = "by_vllm"
"""The metric of the machine that says that vLLM ran the models."""


def rows_of(
    timing: Timing, tokens: Mapping[str, int], reference: Timing | None, noise: Mapping[str, Interval], *, in_turn: bool = True
) -> list[dict[str, Any]]:
    """The result rows of one model from its timing and the tokens of a round by phase.

    All are medians over the rounds with their 95 % intervals, where there are rounds enough. For each phase `tokens_per_second`;
    `speedup_over_dense`, where `reference` is the timing of the dense model in the same process: the ratio within each round, in which
    both met the same machine; `roofline_share`, where the ceilings were measured: the time that the best of them allow, over the time
    taken; and `noise_ratio` where `noise` has it. Of prefill `time_to_first_token`, of decoding `time_per_token` and
    `time_per_token_p90`, the median and the 90th percentile of a round's steps, in seconds, and `operations_per_token`. Then the bytes of
    `Timing.memory`, under the data set `memory`. Where models were not timed `in_turn`, no round is another's, and what compares two is the
    ratio of their medians, without an interval.
    """
    rows: list[dict[str, Any]] = []
    for phase, seconds in timing.seconds.items():
        rows.append(_row(phase, "tokens_per_second", [tokens[phase] / second for second in seconds]))
        if reference is not None:
            pairs = zip(comparable(seconds, in_turn), comparable(reference.seconds[phase], in_turn), strict=True)
            rows.append(_row(phase, "speedup_over_dense", [theirs / own for own, theirs in pairs]) | {"count": len(seconds)})
        rows += [_row(phase, metric, values) for metric, values in _times(timing, phase)]
        if phase in noise:
            rows.append({"dataset": phase, "metric": "noise_ratio", "count": len(seconds), **_told(noise[phase])})
    if timing.operations_per_token is not None:
        rows.append({"dataset": "decode", "metric": "operations_per_token", "value": timing.operations_per_token})
    return rows + [{"dataset": "memory", "metric": metric, "value": count} for metric, count in timing.memory.items()]


def comparable(seconds: Sequence[float], in_turn: bool) -> Sequence[float]:
    """What of a model's rounds stands beside those of another: each of them, or their median where no round is the other's."""
    return seconds if in_turn else [statistics.median(seconds)]


def tokens_of(throughput: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of one round by phase, by a section `throughput`."""
    return {"prefill": throughput["batch"] * throughput["prompt"], "decode": throughput["batch"] * throughput["generate"]}


def in_variant(rows: Sequence[Mapping[str, Any]], variant: str) -> list[dict[str, Any]]:
    """The rows of a model as it ran in a variant, their data sets named for it."""
    return [{**row, "dataset": labelled(row["dataset"], variant)} for row in rows]


def _times(timing: Timing, phase: str) -> Iterator[tuple[str, list[float]]]:
    """By round the times that a user waits, and the share of the roofline."""
    if phase == "prefill":
        yield "time_to_first_token", timing.seconds[phase]
    elif timing.steps:
        yield "time_per_token", [statistics.median(steps) for steps in timing.steps]
        yield "time_per_token_p90", [_ninety(steps) for steps in timing.steps]
    if phase in timing.work and timing.machine.ceilings:
        least = timing.work[phase].least_seconds(timing.machine.best())
        yield "roofline_share", [least / second for second in timing.seconds[phase]]


def _ninety(values: Sequence[float]) -> float:
    """The 90th percentile; one value is its own."""
    return statistics.quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]


def rows_of_threads(machine: Machine, threads: int, asked: int, *, in_turn: bool = True, by_vllm: bool = False) -> list[dict[str, Any]]:
    """The rows of what else the machine did, under the data set `machine`.

    `threads` are those that timed, `threads_asked` those that were asked for, `in_turn` is 1 where models took turns, else 0. `by_vllm` is
    there, and 1, where vLLM ran them. Where the system says so, `other_load` is how many cores other work kept busy, and `crowded_rounds`
    the share of rounds in which these were cores that the threads needed.
    """
    told = {"threads": threads, "threads_asked": asked, "in_turn": int(in_turn)} | ({BY_VLLM: 1} if by_vllm else {})
    rows: list[dict[str, Any]] = [{"dataset": "machine", "metric": name, "value": count} for name, count in told.items()]
    known = [other for other in machine.other if other is not None]
    if known:
        share = sum(crowded(other, threads, processors()) for other in known) / len(known)
        rows.append(_row("machine", "other_load", known))
        rows.append({"dataset": "machine", "metric": "crowded_rounds", "value": share, "count": len(known)})
    return rows


def _row(dataset: str, metric: str, values: Sequence[float]) -> dict[str, Any]:
    """A result row: the median over the rounds with its interval."""
    return {"dataset": dataset, "metric": metric, "count": len(values), **_told(median_interval(values))}


def _told(interval: Interval) -> dict[str, float]:
    """The fields of a row for a number and its interval."""
    return {"value": interval.value, **interval.ends}
