"""What jobs take of a disk, as it is told before any starts: what they leave, what passes, the hidden states they hold, what is free.

A pass over the text has the hidden states of every window on disk: moments those that enter a block and those that leave it, gradients
those of all blocks, and with single windows every gradient of a block. They go with the job, and are most of what it needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.passes import WINDOWS
from drank.config.disk import BYTES, amount, told, written
from drank.config.forecast import PART
from drank.config.resolved import calibration_options, gradient_options, methods_for, shards_of
from drank.config.sizes import Sizes, sizes_for
from drank.methods import Method

if TYPE_CHECKING:
    from drank.config.artefacts import Runs

Job = tuple[int, str, Mapping[str, str]]

HOLDING = ("calibrate", "gradients", "relinearise")
"""Rules whose jobs hold hidden states."""

REMEDY = "lower `windows` or `curvature_windows` of the calibration, or work on another disk (a run by --directory, a call by --work)"


def room(
    config: Mapping[str, Any], jobs: Iterable[Job], folder: Path, at_once: int = 1, runs: Runs | None = None
) -> tuple[str | None, str | None]:
    """What these jobs, each a number, rule and wildcards, take of the disk that a folder is on, and a warning where more than is free.

    None of either where there is nothing to tell. `runs` are those of the configuration: with them each job reads what its own run asks
    for. Raises what `sizes_for` does.
    """
    jobs = [job for job in jobs if job[1].removesuffix(PART) in (*BYTES, *HOLDING)]
    if not jobs:
        return None, None
    methods = runs.methods if runs else {model: methods_for(config, model) for model in config["models"]}
    found, states = written(config, jobs, methods), held(config, jobs, methods, at_once, runs)
    meanwhile = f", and up to {amount(states)} of hidden states while moments and gradients are taken" if states else ""
    needed, free = found.kept + found.passing + states, shutil.disk_usage(folder).free
    short = f"{folder} has {amount(free)} free, and about {amount(needed)} are needed: {REMEDY}" if needed > free else None
    return told(found, config["keep"]) + meanwhile, short


def held(
    config: Mapping[str, Any],
    jobs: Iterable[Job],
    methods: Mapping[str, Mapping[str, Method]],
    at_once: int = 1,
    runs: Runs | None = None,
) -> float:
    """The most bytes of hidden states that so many of these jobs hold at once; raises what `sizes_for` does."""
    jobs = [job for job in jobs if job[1].removesuffix(PART) in HOLDING]
    sizes = sizes_for(config, jobs)
    found = [
        _held(runs.as_asked(config, names) if runs else config, rule, names, sizes[names["model"]], methods[names["model"]])
        for _, rule, names in jobs
    ]
    return sum(sorted(found, reverse=True)[:at_once])


def _held(config: Mapping[str, Any], rule: str, names: Mapping[str, str], size: Sizes, methods: Mapping[str, Method]) -> float:
    step, labels = rule.removesuffix(PART), names.get("labels", "")
    labels = methods[names["method"]].weighing_pass if step == "relinearise" else labels
    shards = 1 if labels == WINDOWS else shards_of(config).get(step, 1)  # what is no sum over windows is made by one job
    if shards > 1 and step == rule:
        return 0.0  # which adds parts
    text = calibration_options(config)
    window = (4 if config["compute"]["dtype"] == "float32" else 2) * text["length"] * size.width
    if step == "calibrate":
        return 2.0 * text["windows"] * window / shards
    windows = gradient_options(config, labels)["gradient_windows"]
    single = 4 * size.inside / size.layers if labels == WINDOWS else 0  # the gradients of a block by one window
    return float(windows * ((size.layers + 3) * window + single) / shards)  # gradients enter and leave a block beside the states
