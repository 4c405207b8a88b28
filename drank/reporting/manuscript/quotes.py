"""Every number that a text might quote, under a key that can be read: `table3/llama-7b/d-rank/0.2/wikitext2/perplexity`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from drank.models.families import kind_of
from drank.reporting.comparisons import baselines
from drank.reporting.material import Material
from drank.reporting.names import BASELINE, DENSE, escape, number
from drank.reporting.over_draws import drawn, shown
from drank.reporting.tables.effective_ranks import published_ranks
from drank.reporting.tables.metrics import METRICS
from drank.reporting.tables.numbers import SIZE

PRINTED = {
    "accuracy": (100, 1),
    "chance": (100, 1),
    "log_perplexity": (1, 3),
    **dict.fromkeys(("model_bytes", "weight_bytes", "cache_bytes", "peak_tensor_bytes"), (2**-20, 1)),
    "parameters": (1e-6, 2),
    "bytes": (1e-6, 2),
    "ratio": (100, 2),
    "over-": (100, 1),
    "effective_rank": (1, 1),
    "rank": (1, 0),
}
"""By the beginning of its name how what no table calls a metric is printed: its unit as a factor, percent, MiB, millions, and digits."""

PARTS = ("low", "high", "spread", "published")
"""What is told of a number beside it."""


@dataclass(frozen=True)
class Run:
    """Where a number stands: the model, the label of its method, and the ratio."""

    model: str
    label: str
    ratio: float


def key(artefact: str, run: Run, *place: str) -> str:
    """The key of a number of an artefact: run, data set and quantity, then one of `PARTS`."""
    parts = (artefact, run.model, run.label, f"{run.ratio:g}", *place)
    return "/".join(re.sub(r"[^A-Za-z0-9_.+=:@-]+", "-", part) for part in parts)


def printed(quantity: str, value: float) -> str:
    """A number as tables print it, in the unit of its quantity."""
    if quantity in METRICS:
        return METRICS[quantity].text(value)
    scale, digits = next((found for start, found in PRINTED.items() if quantity.startswith(start)), (1, 2))
    return number(scale * value, digits)


def quotes(materials: Mapping[str, Material]) -> dict[str, str]:
    """The numbers of artefacts by key, as they are printed; of one that has nothing but spectra and plans, their ranks."""
    found: dict[str, str] = {}
    for name, material in materials.items():
        for run, place, value in (*_measured(material), *_compared(material), *_ranks(material)):
            if not math.isnan(value):
                quantity = next(part for part in reversed(place) if part not in PARTS)
                found[key(name, run, *place)] = printed(quantity, value)
    return found


def macros(materials: Mapping[str, Material]) -> str:
    r"""A file for LaTeX after which `\drank{KEY}` prints a number; a key that is not there is an error that says so."""
    lines = [f"\\dranknumber{{{name}}}{{{escape(value)}}}" for name, value in sorted(quotes(materials).items())]
    return "\n".join(
        [
            "% made by drank: after \\input of this file \\drank{KEY} prints the number of a key below",
            "\\newcommand{\\dranknumber}[2]{\\expandafter\\def\\csname drank:\\detokenize{#1}\\endcsname{#2}}",
            "\\DeclareRobustCommand{\\drank}[1]{\\ifcsname drank:\\detokenize{#1}\\endcsname",
            "  \\csname drank:\\detokenize{#1}\\endcsname\\else",
            "  \\PackageError{drank}{There is no number \\detokenize{#1}}{All keys stand in the file that defines \\string\\drank.}\\fi}",
            *lines,
            "",
        ]
    )


def _measured(material: Material) -> Iterator[tuple[Run, tuple[str, ...], float]]:
    """What the rows of an artefact say, and what has been published of the same runs."""
    for row in material.numbers.to_dict("records"):
        run, place = _place(row)
        yield run, place, shown(row)
        # An interval is of one draw, and says nothing of the mean of several.
        for part, column in [("spread", "spread")] if drawn(row) else [("low", "ci_low"), ("high", "ci_high")]:
            yield run, (*place, part), row[column]
        yield run, (row["dataset"], "chance"), row["chance"] if "accuracy" in row["metric"] else math.nan
        for column in ("parameters", "bytes", "ratio_stored", "ratio_model"):
            yield run, (SIZE, column), float(row[column])
    for row in () if material.published is None else material.published.to_dict("records"):
        if row["metric"] != "effective_rank":  # it is of a spectrum and no run
            run, place = _place(row)
            yield run, (*place, "published"), row["value"]


def _place(row: Mapping[Any, Any]) -> tuple[Run, tuple[str, ...]]:
    """The run of a row and what it is about; a row that has no label goes by its method."""
    label = row.get("label")
    return Run(row["model"], label if isinstance(label, str) else row["method"], float(row["ratio"])), (row["dataset"], row["metric"])


def _compared(material: Material) -> Iterator[tuple[Run, tuple[str, ...], float]]:
    """By what share each perplexity lies over that of the dense model, and over that of the baseline that it is compared with."""
    rows = material.numbers[material.numbers["metric"] == "perplexity"] if len(material.numbers) else pd.DataFrame()
    values = {(*_place(row)[:1], row["dataset"]): shown(row) for row in rows.to_dict("records")}
    rivals = baselines(material.numbers) if len(material.numbers) else {}
    for (run, dataset), value in values.items():
        baseline = rivals.get((run.model, run.label, run.ratio, dataset), "")
        for name, rival, ratio in ((DENSE, DENSE, 0.0), (BASELINE, baseline, run.ratio)):
            base = values.get((Run(run.model, rival, ratio), dataset))
            if base is not None and run.label != rival:
                yield run, (dataset, f"over-{name}"), value / base - 1


def _ranks(material: Material) -> Iterator[tuple[Run, tuple[str, ...], float]]:
    """The effective ranks of spectra, which are of no ratio, with what is published of them, and the ranks of plans, by group."""
    for spectrum in material.spectra:
        run, stated = Run(spectrum["model"], spectrum["spectrum"], 0.0), published_ranks(material, spectrum)
        for row in spectrum["groups"]:
            place = row["group"], "effective_rank"
            yield run, place, row["effective_rank"]
            yield run, (*place, "published"), stated.get((kind_of(row["role"]), tuple(row["layers"])), math.nan)
    for plan in material.plans:
        for group in plan.groups:
            yield Run(plan.model, plan.method, plan.ratio), (group.shape.name, "rank"), float(group.rank)
