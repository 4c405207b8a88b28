"""What is bold and what is underlined: only what a paired test tells apart, among methods of one kind; and the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from drank.reporting.contests import GOALS, OF_ALL, OF_KIND
from drank.reporting.names import listed, method_name, number, percent, unique
from drank.reporting.tables.layout import Cell
from drank.reporting.tables.metrics import METRICS
from drank.reporting.tables.numbers import Entry, Numbers, Value
from drank.variants import base_of

DIFFERENCES = {goal.metric: goal.difference for goal in GOALS.values()}
"""The metrics that methods compete in, each with what its differences are called."""

UNITS = {"perplexity": ("nats per token", 1, 4), "accuracy": ("points of accuracy", 100, 1)}
"""In what their differences are told: the unit, what they are multiplied by, and digits."""

BEST_OF_ALL = "†"
"""What marks the best of all kinds."""


def marked(numbers: Numbers, entries: Sequence[Entry], dataset: str, metric: str, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of one column of a block, one for each entry, marked.

    Bold is the best of its kind where it is told apart from the second; underlined is who is not told apart from the best of its kind,
    the best itself among them where nothing tells it from the second. Tests are of the first draw of the calibration text: where another
    has the better mean over several, nothing is bold. Who has no rival of its kind has neither. A dagger stands at the
    best of all where several kinds compete, if what is printed has it so too.
    """
    gaps = {entry: numbers.get(entry, dataset, f"{DIFFERENCES[metric]}_{OF_KIND}") for entry in entries}
    clear = {numbers.kind(entry) for entry, gap in gaps.items() if gap is not None and gap.told_apart}
    shown = _shown(numbers, entries, dataset, metric)
    best = {min((value, entry) for entry, value in shown.items() if numbers.kind(entry) == kind)[1] for kind in map(numbers.kind, shown)}
    found = []
    for entry, cell in zip(entries, cells, strict=True):
        gap, whole = gaps[entry], numbers.get(entry, dataset, f"{DIFFERENCES[metric]}_{OF_ALL}")
        bold = gap is not None and gap.told_apart and entry in best
        near = gap is not None and gap.place > 0 and not bold and _near(gap, told=numbers.kind(entry) in clear)
        dagger = BEST_OF_ALL if whole is not None and whole.place == 1 and shown[entry] == min(shown.values()) else ""
        found.append(replace(cell, text=cell.text + dagger, bold=bold, underlined=near))
    return found


def _shown(numbers: Numbers, entries: Sequence[Entry], dataset: str, metric: str) -> dict[Entry, float]:
    """By entry the number as printed, the least best: of several draws the first is tested, and another entry may have the best mean."""
    sign = -1 if METRICS[metric].better == "high" else 1
    found = {entry: numbers.get(entry, dataset, metric) for entry in entries}
    return {entry: sign * value.shown for entry, value in found.items() if value is not None}


def _near(gap: Value, *, told: bool) -> bool:
    """Whether a difference to the best is within chance; that of the second is where the best is not told apart from it."""
    return not (gap.better or gap.worse) or (gap.place <= 2 and not told)


def explained(models: Sequence[Numbers], metrics: Iterable[str]) -> str:
    """The sentences of a caption that say what the marks of these metrics mean and how small a difference could have been told apart.

    Empty where nobody has a rival.
    """
    found = {metric: [gap for one in models for gap in _bests(one, f"{DIFFERENCES[metric]}_{OF_KIND}")] for metric in metrics}
    several = any(list(_bests(one, f"{DIFFERENCES[metric]}_{OF_ALL}")) for one in models for metric in found)
    if not any(found.values()) and not several:
        return ""
    rule = (
        "Bold: the best of its kind at its ratio among the methods of this table, told apart from the second (paired test, 5\u202f% after "
        "Holm's correction); underlined: not told apart from the best of its kind (95\u202f% interval of the paired difference)"
    )
    rule += f"; {BEST_OF_ALL}: the best of all kinds here" if several else ""
    smallest = [f"{_range(gaps, metric)} {UNITS[metric][0]}" for metric, gaps in found.items() if any(gap.detectable > 0 for gap in gaps)]
    power = f" Four times of five the test finds a difference to the second of {listed(smallest)}." if smallest else ""
    return f"{rule}.{power}{_kinds(models)}"


def _competing(numbers: Numbers) -> list[Entry]:
    """All methods that compete, by ratio."""
    return [entry for ratio in numbers.ratios for entry in numbers.competing(ratio)]


def _bests(numbers: Numbers, metric: str) -> Iterator[Value]:
    """The differences of all bests to their runners-up."""
    for entry in _competing(numbers):
        for dataset in numbers.datasets(metric):
            gap = numbers.get(entry, dataset, metric)
            if gap is not None and gap.place == 1:
                yield gap


def _range(gaps: Sequence[Value], metric: str) -> str:
    """From where to where the detectable differences lie."""
    _, scale, digits = UNITS[metric]
    sizes = [gap.detectable for gap in gaps if gap.detectable > 0]
    return " to ".join(unique(number(scale * size, digits) for size in (min(sizes), max(sizes))))


def _kinds(models: Sequence[Numbers]) -> str:
    """Which methods are of which kind, where there are several; variants by the name of their method where all of them are of one."""
    found: dict[str, dict[str, list[Entry]]] = {}
    for numbers in models:
        for entry in _competing(numbers):
            found.setdefault(numbers.kind(entry), {}).setdefault(base_of(entry.method), []).append(entry)
    told = []
    for kind, methods in found.items():
        others = [entry for other, those in found.items() if other != kind for entries in those.values() for entry in entries]
        names = [name for base, entries in methods.items() for name in _named(base, entries, others)]
        told.append(f"{kind} ({listed(names)})")
    return f" Kinds: {'; '.join(told)}." if len(told) > 1 else ""


def _named(base: str, entries: Sequence[Entry], others: Sequence[Entry]) -> list[str]:
    """The entries of a method that are of one kind, beside those of other kinds: its name, with its ratios, or its variants with theirs."""
    apart = [entry for entry in others if base_of(entry.method) == base]
    ratios = {entry.ratio for entry in entries}
    if not apart:
        return [method_name(base)]
    if not {entry.ratio for entry in apart} & ratios:
        return [_at(base, ratios)]
    both = {entry.method for entry in apart}
    labels = unique(entry.method for entry in entries)
    return [_at(one, {entry.ratio for entry in entries if entry.method == one}) if one in both else method_name(one) for one in labels]


def _at(label: str, ratios: Iterable[float]) -> str:
    """A method at these ratios only."""
    return f"{method_name(label)} at {listed([percent(ratio) for ratio in sorted(ratios)])}"
