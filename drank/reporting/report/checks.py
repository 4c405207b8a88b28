"""Is the pipeline itself to be trusted: controls, budgets and baselines, each a check that passes or fails by the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from drank.allocation.allocate import ALLOCATORS
from drank.methods import Method
from drank.reporting.comparisons import AVERAGE
from drank.reporting.names import method_name, percent
from drank.reporting.recipes import method_in
from drank.reporting.records import Record
from drank.reporting.tables.numbers import SIZE, Numbers

ROUNDING = 1e-3
"""Nats per token by which full-rank factors may differ from the dense weights after being stored in half precision."""

CLEAR = 4.0
"""Standard errors above chance from which on a task shows what compression destroys."""


class Check(NamedTuple):
    """What was checked on which model, whether it holds, and the numbers that say so."""

    name: str
    model: str
    passed: bool
    text: str


def checks(models: Sequence[Numbers], records: Sequence[Record]) -> list[Check]:
    """All checks that these numbers allow; what a method promises is in the records that they are of, whatever it is called there."""
    found = []
    for numbers in models:
        methods = {record.method: method_in(record.provenance["method"]) for record in records if record.model == numbers.model}
        found += [*_full_rank(numbers, methods), *_budget(numbers, methods), *_chance(numbers)]
    return found


def _full_rank(numbers: Numbers, methods: Mapping[str, Method]) -> Iterator[Check]:
    """Factors at full rank must behave as the matrices they replace."""
    for entry in numbers.entries:
        if not methods[entry.method].compresses or methods[entry.method].allocator != "full":
            continue
        gaps = [numbers.get(entry, corpus, "log_perplexity_gap_to_dense") for corpus in numbers.datasets("perplexity")]
        sizes = [abs(gap.value) for gap in gaps if gap is not None]
        if sizes:
            text = (
                f"perplexity differs by at most {100 * max(sizes):.2g}\u202f% on {len(sizes)} corpora (allowed: {100 * ROUNDING:g}\u202f%)"
            )
            yield Check(f"{method_name(entry.method)} equals dense to rounding", numbers.model, max(sizes) <= ROUNDING, text)


def _budget(numbers: Numbers, methods: Mapping[str, Method]) -> Iterator[Check]:
    """Nobody may store more than the ratio allows, but who follows D-Rank's published code, which ends some ranks off it."""
    entries = [entry for entry in numbers.entries if entry.ratio > 0]
    stored = {entry: size.value for entry in entries if (size := numbers.get(entry, SIZE, "ratio_stored")) is not None}
    if not stored:
        return
    over = [entry for entry, ratio in stored.items() if ratio < entry.ratio - 1e-9]
    held = [entry for entry in over if ALLOCATORS[methods[entry.method].allocator].held]
    spare = max(ratio - entry.ratio for entry, ratio in stored.items())
    text = f"{len(stored)} compressed models, at most {100 * max(spare, 0):.3f} points of the budget unused"
    text += "".join(
        f"; {method_name(entry.method)} at {percent(entry.ratio)} stores {100 * (entry.ratio - stored[entry]):.3f} points too much"
        f"{'' if entry in held else ', as its published code does'}"
        for entry in over
    )
    yield Check("No model exceeds its budget, counted in saved tensors", numbers.model, not held, text)


def _chance(numbers: Numbers) -> Iterator[Check]:
    """A task at which the uncompressed model guesses shows nothing."""
    if numbers.dense is None:
        return
    tasks = {task: numbers.get(numbers.dense, task, "accuracy") for task in numbers.datasets("accuracy") if task != AVERAGE}
    above = {task: (value.value - value.chance) / value.stderr for task, value in tasks.items() if value is not None and value.stderr > 0}
    above = {task: errors for task, errors in above.items() if errors == errors}
    if above:
        weak = [task for task, errors in above.items() if errors < CLEAR]
        text = f"{min(above.values()):.1f} to {max(above.values()):.1f} standard errors above chance on {len(above)} tasks"
        text += f"; too close to guessing: {', '.join(weak)}" if weak else ""
        yield Check("The uncompressed model stands clear of chance", numbers.model, not weak, text)
