"""What timing found: of a model the seconds of its rounds, its memory and its work; of the machine what it gave in the same rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from drank.evaluation.roofline import Work

PHASES = ("prefill", "decode")


@dataclass(frozen=True)
class Machine:
    """By round the rates of `Ceilings`, where they were measured, and how many cores other work kept busy, where the system says so."""

    ceilings: list[dict[str, float]] = field(default_factory=list)
    other: list[float | None] = field(default_factory=list)

    def best(self) -> dict[str, float]:
        """The highest rate of each kind: a ceiling is what the machine can do, and a round that others disturbed shows less."""
        return {rate: max(found[rate] for found in self.ceilings) for rate in self.ceilings[0]}

    @classmethod
    def together(cls, timings: Iterable[Timing]) -> Machine:
        """What it was like over all of several timings, each of its rounds once."""
        known = {id(timing.machine): timing.machine for timing in timings}.values()
        return cls([rates for one in known for rates in one.ceilings], [load for one in known for load in one.other])


@dataclass(frozen=True)
class Timing:
    """What timing one model found, and what the machine was like.

    `seconds` has those of every counted round by phase, `steps` by round those of each token that was decoded, of which the phase is the
    sum. `memory` has `model_bytes` (weights and buffers as held in memory), `weight_bytes` (those of them that a token reads),
    `cache_bytes` (keys and values at the end of decoding) and `peak_tensor_bytes` (the most that weights, activations and cache took at
    once during one round of both phases). `work` is what a phase asks of a machine, in all its tokens; `operations_per_token` what one
    decoded token does.
    """

    seconds: dict[str, list[float]]
    memory: dict[str, int]
    steps: list[list[float]] = field(default_factory=list)
    work: Mapping[str, Work] = field(default_factory=dict)
    operations_per_token: int | None = None
    machine: Machine = field(default_factory=Machine)

    def add(self, prefill: float, steps: list[float]) -> None:
        """Take a round: the seconds of its prefill, and those of each step of decoding."""
        self.seconds["prefill"].append(prefill)
        self.seconds["decode"].append(sum(steps))
        self.steps.append(steps)


class Runner(Protocol):
    """What runs a model on prompts of its own, wherever that is."""

    def counted(self, machine: Machine) -> Timing:
        """A timing without rounds: the memory of the model and the work of its phases."""

    def round(self) -> tuple[float, list[float]]:
        """Seconds of one prefill and of each step of the decoding that follows it."""

    def processor_seconds(self) -> float:
        """Seconds that processors have worked for it so far in another process than this."""


def work_of(read: int, written: int, weights: int, cache: int, prompt: int, generate: int) -> dict[str, Work]:
    """What prefill and decoding ask of a machine.

    `read` are the operations of the prefill and `written` those of a step of decoding, `weights` the bytes that a step reads, and `cache`
    those of keys and values after `prompt` and `generate` tokens.
    """
    kept = sum(cache * (prompt + step) // (prompt + generate) for step in range(1, generate + 1))  # what the steps read of the cache
    return {"prefill": Work(read, weights), "decode": Work(generate * written, generate * weights + kept)}
