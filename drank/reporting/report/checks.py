"""Is the pipeline itself to be trusted: what must hold to rounding, each a check that passes or fails by the numbers.

That a method is bad, or a task too hard, is a result and none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from drank.allocation.allocators import ALLOCATORS
from drank.methods import Method
from drank.reporting.names import method_name, percent
from drank.reporting.recipes import method_in
from drank.reporting.records import Record
from drank.reporting.tables.numbers import SIZE, Numbers

ROUNDING = 1e-3
"""Nats per token by which full-rank factors may differ from the dense weights after being stored in half precision."""


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
        found += [*_full_rank(numbers, methods), *_budget(numbers, methods)]
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
    """Nobody may store more than the ratio allows, but who follows D-Rank's published code or a given plan, which may end off it."""
    entries = [entry for entry in numbers.entries if entry.ratio > 0]
    stored = {entry: size.value for entry in entries if (size := numbers.get(entry, SIZE, "ratio_stored")) is not None}
    if not stored:
        return
    over = [entry for entry, ratio in stored.items() if ratio < entry.ratio - 1e-9]
    allocators = {entry: ALLOCATORS[methods[entry.method].allocator] for entry in over}
    held = [entry for entry, allocator in allocators.items() if allocator.held]
    spare = max(ratio - entry.ratio for entry, ratio in stored.items())
    text = f"{len(stored)} compressed models, at most {100 * max(spare, 0):.3f} points of the budget unused"
    text += "".join(
        f"; {method_name(entry.method)} at {percent(entry.ratio)} stores {100 * (entry.ratio - stored[entry]):.3f} points too much"
        f"{f', as {allocator.follows} does' if allocator.follows else ''}"
        for entry, allocator in allocators.items()
    )
    yield Check("No model exceeds its budget, counted in saved tensors", numbers.model, not held, text)
