"""What an artefact lacks that sets its runs against each other: values to choose between, calibrations, the links of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from drank.config.artefact import Artefact
from drank.config.grids import Point
from drank.reporting.names import is_dense, unique
from drank.reporting.reference_text import Values, reference_of
from drank.variants import CALIBRATION_AXES

DRAW = "draw"
"""The axis on which runs are one link of a chain."""


def contrast_problems(artefact: Artefact) -> Iterator[str]:
    """Why its layout cannot set its runs against each other; nothing of an artefact without runs, and of layouts that do no such thing."""
    if artefact.points and (problems := CONTRASTS.get(artefact.layout_name)):
        yield from problems(artefact)


def _choice(artefact: Artefact) -> Iterator[str]:
    """A choice is between several values of one method, and its validation text is none of those that are reported."""
    options, axis = artefact.options, artefact.options.get("axis", "beta")
    if options["validation"] in options["on"]:
        told = f"validation: {options['validation']} is among the texts that are reported ({', '.join(options['on'])})"
        yield f"{told}; name another, such as CORPUS.validation, or others in `on`"
    if not _several(_contests(artefact, [axis])):
        yield f"it compares values of {axis}, and no method of it has two of them at one ratio; name several {axis} in a grid of `runs`"


def _calibrations(artefact: Artefact) -> Iterator[str]:
    """Calibrations are held against one of them, which each method has to have at each ratio."""
    axes = [axis for axis in CALIBRATION_AXES if axis in artefact.axes]
    contests = _contests(artefact, axes)
    if not _several(contests):
        known = " or ".join(CALIBRATION_AXES)
        yield f"it compares calibrations, and no method of it has two at one ratio; name several values of {known} in a grid of `runs`"
    told = []
    for runs in contests.values():
        try:
            reference_of(axes, runs, artefact.options.get("reference", {}))
        except ValueError as error:
            told.append(str(error))
    yield from unique(told)


def _chain(artefact: Artefact) -> Iterator[str]:
    """Each link of a chain names one run of each model at each ratio of the last, or the draws of one, and the dense model at its own."""
    links = list(artefact.options["chain"])
    for model in artefact.models:
        points = [point for point in artefact.points if point.model == model]
        runs = {link: _named(points, link) for link in links}
        ratios = sorted({point.ratio for point in runs[links[-1]]})
        for link, found in runs.items():
            if not found:
                there = ", ".join(unique(point.label for point in points))
                yield f"chain: {link} is no run of it, and of {model} these are: {there}; add it to `runs`, or name one of them"
            elif len({_apart(artefact, point, [DRAW]) for point in found}) > 1:
                yield f"chain: {link} names several runs of {model}, {', '.join(unique(point.label for point in found))}; name one of them"
            else:
                at = {point.ratio for point in found}
                missing = [ratio for ratio in ([0.0] if is_dense(link) else ratios) if ratio not in at]
                told = ", ".join(f"{ratio:g}" for ratio in missing)
                yield from [f"chain: {link} has no run of {model} at ratio {told}, as {links[-1]} has; add it to `runs`"] if missing else []


CONTRASTS: dict[str, Callable[[Artefact], Iterator[str]]] = {
    "choice": _choice,
    "stability": _calibrations,
    "steps": _chain,
}
"""What is asked of the runs of a layout."""


def _contests(artefact: Artefact, axes: Sequence[str]) -> dict[Values, dict[Values, str]]:
    """The runs that differ on these axes alone, labels by their values there, by all else that they stand on; without those on none."""
    found: dict[Values, dict[Values, str]] = {}
    for point in artefact.points:
        values = tuple(point.axes.get(axis) for axis in axes)
        if any(value is not None for value in values):
            found.setdefault((point.model, point.method, point.ratio, *_apart(artefact, point, axes)), {})[values] = point.label
    return found


def _several(contests: Mapping[Values, Mapping[Values, str]]) -> bool:
    """Whether there is anything to compare."""
    return any(len(runs) > 1 for runs in contests.values())


def _apart(artefact: Artefact, point: Point, axes: Sequence[str]) -> tuple[Any, ...]:
    """The values of a run on all axes of its artefact but these."""
    return tuple(point.axes.get(axis) for axis in artefact.axes if axis not in axes)


def _named(points: Sequence[Point], name: str) -> list[Point]:
    """The runs of a label, or where none has it those of a method."""
    return [point for point in points if point.label == name] or [point for point in points if point.method == name]
