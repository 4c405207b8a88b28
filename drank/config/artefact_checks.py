"""What is wrong with the artefacts of a configuration that is right otherwise: nothing is in them, or a variant cannot be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drank.allocation.allocate import check_budget
from drank.config.artefacts import Runs
from drank.config.measurable import splits_in
from drank.config.resolved import calibration_options
from drank.config.shapes import refusal
from drank.methods import Method
from drank.models.shapes import is_shape
from drank.models.sources import SourceError, directory_of
from drank.models.weights import Checkpoint
from drank.variants import is_variant


def artefact_problems(config: Mapping[str, Any]) -> list[str]:
    """A line for every artefact that a configuration which is right otherwise cannot make, and for every variant that cannot be made."""
    try:
        runs = Runs(config)
    except ValueError as error:
        return str(error).split("\n")
    return list(dict.fromkeys(problem for cell in runs.wanted for problem in _unmakeable(config, cell, runs.methods[cell[0]][cell[1]])))


def _unmakeable(config: Mapping[str, Any], cell: tuple[str, str, str], method: Method) -> Iterator[str]:
    """Why a variant cannot be made; of the methods as the configuration has them other checks tell."""
    model, label, ratio = cell
    if is_shape(config["models"][model]) and is_variant(label) and (reason := refusal(method)):
        yield f"models.{model}: {label}: {reason}"
        return
    text, works = calibration_options(config, method.calibration), method.at(float(ratio))
    if works.reads_text and not config.get("calibration"):
        if is_variant(label):
            yield f"{label} reads a calibration text, and the configuration has none; add `calibration: {{corpus: …}}`"
        return
    if method.calibration and text["split"] not in splits_in(config["corpora"][text["corpus"]]):
        yield f"{label}: calibration corpus {text['corpus']!r} has no split {text['split']!r}; choose another corpus, or set the split"
    if method.compresses and method.budgeted and (is_variant(label) or float(ratio) not in config["ratios"]):
        try:
            check_budget(Checkpoint(directory_of(config["models"][model])).shapes(method.group), float(ratio), method.ranking())
        except SourceError:
            return  # a model that is not here yet
        except (ValueError, OSError, KeyError) as error:
            yield f"models.{model}: {label} at {ratio}: {error}"
