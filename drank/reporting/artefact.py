"""From what the configuration says of an artefact and the files of its runs to the artefact itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from drank.allocation.plan import Plan
from drank.reporting.layouts import LAYOUTS
from drank.reporting.manuscript.exhibits import Exhibit
from drank.reporting.material import Material, numbers_of
from drank.reporting.names import unique
from drank.reporting.published import beside, published_for
from drank.reporting.recipes import method_in
from drank.reporting.records import Record
from drank.reporting.report.method_table import seconds_of
from drank.reporting.summary import over_draws, summarise
from drank.reporting.tables import write as write_tables
from drank.reporting.tables.layout import Table
from drank.reporting.tables.steps import words
from drank.runtime.grouping import AVERAGE, in_group

if TYPE_CHECKING:
    from drank.reporting.figures.sheet import Drawn

MEMORY, MACHINE = "memory", "machine"
"""The data set name under which the memory of a model stands."""


SHOWN = {
    "effective_rank_by_layer": ["effective_rank"],
    "ranks_by_layer": ["rank"],
    "accuracy_by_ratio": ["accuracy"],
    "throughput_by_ratio": ["speedup_over_dense"],
}
"""What of its material a figure shows, where that is not perplexity."""


def summary_of(told: Mapping[str, Any], records: Sequence[Record]) -> pd.DataFrame:
    """The summary of an artefact's own runs: who is best, and what many comparisons allow to be said, is among them, variants too.

    So a table says the same in its own file, in the report and in the manuscript, whatever else is measured of its runs for other
    artefacts: what it does not show is no contest. Further draws of its runs, the `draws` that it is told, count for the spread and do not
    compete.
    """
    runs = {(row["model"], row["label"], row["ratio"]) for row in told["rows"]}
    labels = unique(row["label"] for row in told["rows"])
    known = runs.union(map(tuple, told["draws"]))
    own = [record for record in records if (record.model, record.method, record.ratio) in known]
    tasks = {row.dataset for record in own for row in record.results if row.metric == "accuracy"}
    return summarise(own, labels, list(told["notes"]), among=runs, on=_shown(told, tasks))


def of_configured_draws(summary: pd.DataFrame, artefacts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The summary of a whole run with means over the draws that its artefacts are told alone, as they print them.

    Those that one artefact asks for, to tell draws apart, are no part of what others print.
    """
    return over_draws(summary, {(run[0], run[1], run[2]) for told in artefacts for run in told["draws"]})


def material_of(
    told: Mapping[str, Any],
    summary: pd.DataFrame,
    records: Sequence[Record] = (),
    spectra: Sequence[Mapping[str, Any]] = (),
    plans: Sequence[Plan] = (),
    config: Mapping[str, Any] | None = None,
    methods: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> Material:
    """What an artefact is made of, out of a summary, spectra and plans that may hold more than its runs.

    `told` has its name, its layout, its `rows` (a run each, with the values of its `axes`), its `options`, the names of what it may have
    `shown`, its `spectra` as MODEL/SPECTRUM, and notes by model. `config` and the settings of its `methods` by model tell which numbers of
    the paper stand beside.
    """
    numbers = numbers_of(summary, told["rows"])
    memory = [name.replace("decode", MEMORY, 1) for name in ("decode", *told["shown"]) if name.startswith("decode")]  # in each variant
    shown = [*_shown(told, numbers.loc[numbers["metric"] == "accuracy", "dataset"]), *memory, MACHINE]
    runs, reads = {(row["model"], row["label"], row["ratio"]) for row in told["rows"]}, LAYOUTS[told["layout"]].reads
    material = Material(
        name=told["name"],
        numbers=numbers[numbers["dataset"].isin(shown)],
        axes=tuple(told["axes"]),
        spectra=[
            spectrum for spectrum in spectra if "spectra" in reads and f"{spectrum['model']}/{spectrum['spectrum']}" in told["spectra"]
        ],
        plans=[plan for plan in plans if "plans" in reads and (plan.model, plan.method, plan.ratio) in runs],
        options={**told["options"], **_seconds(told.get("timings", {}))},
        notes=told["notes"],
        records=[record for record in records if (record.model, record.method, record.ratio) in runs],
    )
    stated = published_for(config) if config else None
    if config is None or stated is None or stated.empty:
        return material
    named = {model: {label: method_in(settings) for label, settings in found.items()} for model, found in (methods or {}).items()}
    return replace(material, published=beside(material, stated, named, config.get("calibration", {})))


def _shown(told: Mapping[str, Any], scored: Iterable[str]) -> list[str]:
    """The texts, tasks and phases that an artefact shows, with the average where it is over no other tasks that have an accuracy."""
    tasks = {name for name in scored if name != AVERAGE and not in_group(name)}
    return [*told["shown"], *[AVERAGE] * (tasks <= set(told["shown"]))]


def _seconds(timings: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What all steps on the way to each run took, by `model/label/ratio`; nothing where the time of a step is no longer there."""
    taken = {run: [seconds_of(file) for file in steps.values()] for run, steps in timings.items()}
    if not taken or any(None in steps for steps in taken.values()):
        return {}
    return {"seconds": {run: sum(seconds for seconds in steps if seconds is not None) for run, steps in taken.items()}}


def tables_of(told: Mapping[str, Any], material: Material) -> list[Table]:
    """The tables of an artefact, one a model where its layout has it so, none of a figure; ValueError for one that would be empty."""
    layout = LAYOUTS[told["layout"]]
    if layout.kind != "table":
        return []
    make = layout.load()
    if not layout.each:
        return [_captioned(_filled(make(material)), told)]
    several = len(told["notes"]) > 1
    found = []
    for model, note in told["notes"].items():
        name = f"{told['name']}-{model}" if several else told["name"]
        found.append(_captioned(_filled(make(material.of(model)).noted(note).named(name)), told))
    return found


def findings_of(told: Mapping[str, Any], material: Material) -> list[str]:
    """What an artefact says in words beside its numbers: of a chain of runs, what each change is worth; nothing of other layouts."""
    return words(material) if told["layout"] == "steps" else []


def figures_of(told: Mapping[str, Any], material: Material) -> dict[str, Drawn]:
    """The figures of an artefact by what their files are called: one over two columns of all models, and of each one over a column."""
    layout = LAYOUTS[told["layout"]]
    if layout.kind != "figure":
        return {}
    draw, name = layout.load(), told["name"]
    found = {name: draw(material, "page")} | {f"{name}-{model}": draw(material.of(model), "column") for model in told["notes"]}
    return {key: drawn._replace(caption=told["options"].get("caption", drawn.caption)) for key, drawn in found.items()}


def write(told: Mapping[str, Any], material: Material, files: Sequence[str]) -> None:
    """Write all files of an artefact, the paths of which its layout gives."""
    if tables := tables_of(told, material):
        write_tables(tables, files[0])
        return
    from drank.reporting.figures.sheet import save

    for drawn, pdf, png in zip(figures_of(told, material).values(), files[::2], files[1::2], strict=True):
        save(drawn, pdf, png)


def exhibit_of(told: Mapping[str, Any], material: Material, pictures: Mapping[str, str]) -> Exhibit:
    """An artefact as the manuscript shows it: a figure of one model in a column, of several over two; `pictures` has captions by name."""
    if tables := tables_of(told, material):
        return Exhibit(told["name"], f"tables/{told['name']}.tex", material, tables)
    several = len(told["notes"]) > 1
    shown = told["name"] if several else f"{told['name']}-{next(iter(told['notes']))}"
    quantities = SHOWN.get(told["layout"], ["perplexity"])
    width: Literal["page", "column"] = "page" if several else "column"
    return Exhibit(told["name"], f"figures/{shown}.pdf", material, caption=pictures[shown], width=width, quantities=quantities)


def _captioned(table: Table, told: Mapping[str, Any]) -> Table:
    """The table with the caption that the configuration gives it, if any."""
    return replace(table, caption=told["options"].get("caption", table.caption))


def _filled(table: Table) -> Table:
    if not table.blocks:
        raise ValueError(f"table {table.name} would be empty: none of its runs has what it shows; give it other runs, or leave it out")
    return table
