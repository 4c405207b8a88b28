"""Calibrations that have little text for the width of a model, told before a run begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.config.artefacts import Runs
from drank.config.resolved import calibration_options
from drank.corpora.amount import LEAST, tokens_per_channel
from drank.models.sources import SourceError, directory_of
from drank.models.weights import Checkpoint
from drank.reporting.names import unique


def little_text(config: Mapping[str, Any], runs: Runs) -> Iterator[str]:
    """A line for each model and amount of calibration text that is less than `LEAST` tokens a channel of its widest input.

    It names the methods that read so little. A model that is not here yet has no width, and is left out.
    """
    readers: dict[tuple[str, int, int], list[str]] = {}
    for model, label, ratio in runs.wanted:
        method = runs.methods[model][label].at(float(ratio))
        if method.reads_calibration and not method.control:
            text = calibration_options(config, method.calibration)
            readers.setdefault((model, text["windows"], text["length"]), []).append(label)
    for (model, windows, length), labels in readers.items():
        width = _widest(config["models"][model])
        if width and (each := tokens_per_channel({"windows": windows, "length": length}, width)) < LEAST:
            yield (
                f"{model}: {windows} windows of {length} tokens to calibrate on are {each:.3g} tokens for each of the {width} channels of "
                f"its widest input, fewer than {LEAST}, so that {', '.join(unique(labels))} may fit that text rather than the language; "
                f"{-(-LEAST * width // length)} windows are enough"
            )


def _widest(source: Mapping[str, Any]) -> int | None:
    """The channels of the widest input of a projection; None of a model that is not here, or not whole."""
    with suppress(SourceError, OSError, KeyError, ValueError):
        return max(shape.rows for shape in Checkpoint(directory_of(source)).shapes(1))
    return None
