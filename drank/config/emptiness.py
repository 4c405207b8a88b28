"""What keeps an artefact from having anything in it, told before the hours that its runs would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drank.config.artefact import Artefact
from drank.config.measurable import kinds_of, measurable
from drank.config.resolved import calibration_options
from drank.methods import Method
from drank.models.shapes import is_shape
from drank.reporting.layouts import BESIDE_DENSE, OVER_DENSE
from drank.reporting.names import BASELINE, DENSE, baseline_of

SMALLER = ("speedup_by_bytes", "frontier")
"""Layouts that draw smaller models beside the dense one of their own runs."""

Methods = Mapping[str, Method]
"""The methods of a model by label."""


def emptiness(config: Mapping[str, Any], artefact: Artefact, methods: Mapping[str, Methods]) -> Iterator[str]:
    """Why there would be nothing in an artefact; `methods` are those of each model by label."""
    known = measurable(config)
    if not artefact.points:
        yield "no run is left of it: none of its methods applies to its models"
    if artefact.kinds and not any(known[kind] for kind in artefact.kinds):
        sections = {"perplexity": "perplexity.corpora", "zeroshot": "zeroshot.tasks", "throughput": "throughput"}
        missing = " or ".join(sections[kind] for kind in artefact.kinds)
        yield f"it shows {' or '.join(artefact.kinds)}, and the configuration measures none; set {missing}"
    elif artefact.kinds and not any(kind in kinds_of(config, name) for kind in artefact.kinds for name in artefact.shown):
        yield f"it shows {' or '.join(artefact.kinds)}, and `on` names none of that ({', '.join(artefact.shown)}); name what it shows"
    if (artefact.layout.reads or artefact.layout.compressed) and not artefact.compressed:
        yield "it shows what compressing leaves, and no run of it compresses"
    if "spectra" in artefact.layout.reads and all(is_shape(config["models"][model]) for model in artefact.models):
        yield "it shows effective ranks, and its models are shapes, of whose random weights there are none to tell"
    for model in artefact.models:
        yield from _unpaired(config, artefact, model, methods[model])
        yield from _without_dense(artefact, model, methods[model])


def _unpaired(config: Mapping[str, Any], artefact: Artefact, model: str, methods: Methods) -> Iterator[str]:
    """What the runs of a model lack beside them where an artefact is of nothing but comparisons."""
    at = {(point.label, point.ratio) for point in artefact.points if point.model == model}
    compared = {label for label, _ in at} - {DENSE} if (DENSE, 0) in at else set()
    if (metric := artefact.options.get("metric")) in BESIDE_DENSE and not compared:
        yield f"metric: {metric} compares with {DENSE}, and of {model} it has not both {DENSE} and another method; add them to its `runs`"
    if artefact.layout_name == "paired" and not compared:
        rivals = [(label, baseline_of(label), ratio) for label, ratio in at if (baseline_of(label), ratio) in at - {(label, ratio)}]
        if not any(_alike(config, methods[label].at(ratio), methods[rival].at(ratio)) for label, rival, ratio in rivals):
            yield f"it compares with {DENSE} and {BASELINE}, and of {model} no run has either beside it, calibrated as it is"


def _without_dense(artefact: Artefact, model: str, methods: Methods) -> Iterator[str]:
    """What the runs of a model lack where an artefact is of nothing but speeds over dense, or of smaller models beside it."""
    layout, points = artefact.layout_name, [point for point in artefact.points if point.model == model]
    others = [point for point in points if point.label != DENSE]
    foreign = [point for point in others if methods[point.label].checkpoint]
    shown = f"layout {layout}" if layout == "throughput_by_ratio" else f"metric: {OVER_DENSE}"
    if layout == "throughput_by_ratio" or artefact.options.get("metric") == OVER_DENSE:
        if DENSE not in methods and (layout == "throughput_by_ratio" or not foreign):  # beside which checkpoints are timed in any case
            yield f"{shown} compares with {DENSE}, which is none of methods; add `{DENSE}: {{}}` to methods"
        elif not others:
            yield f"{shown} compares with {DENSE}, and of {model} it has nothing else; add another method to its `runs`"
    smaller = [point for point in others if point.ratio > 0] + (foreign if layout == "frontier" else [])
    if layout in SMALLER and points and not (smaller and len(others) < len(points)):
        yield f"layout {layout} draws smaller models beside {DENSE}, and of {model} it has not both; add them to its `runs`"


def _alike(config: Mapping[str, Any], one: Method, two: Method) -> bool:
    """Whether two methods read one text, or either of them none: what a label says of it is not all (`reporting.comparisons`)."""
    texts = [calibration_options(config, method.calibration) for method in (one, two) if method.reads_calibration]
    return len(texts) < 2 or texts[0] == texts[1]
