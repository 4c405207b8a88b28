"""Which published number stands beside which of ours: like with like, and the artefact's own table before the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from drank.methods import METHODS, Method
from drank.reporting.material import IDENTITY, Material
from drank.reporting.published.stated import LENGTH, WINDOWS, begun
from drank.variants import CALIBRATION_AXES

FIRST = "table3"
"""The table that leads where an artefact is none of the paper's, or its own says nothing."""

NAMES = ("title", "paper", "seed")
"""The fields of a method that decide nothing here."""


def beside(
    material: Material, published: pd.DataFrame, methods: Mapping[str, Mapping[str, Method]], calibration: Mapping[str, Any]
) -> pd.DataFrame:
    """The numbers of `published_for` that meet runs or spectra of an artefact: at most one for each number of a run.

    A row has model, method, label, ratio and axes of its run, dataset, metric and value, the paper's `artefact` that it is of, and `layer`
    for an effective rank. `methods` are those of the configuration by model and label, `calibration` its section: they tell what a run
    does on the axes that it does not stand on. A run is the paper's when its method is that of the table of methods but for a group and a β
    that this one has too, and these, the ratio, and the text, its windows and its draw are what the row states; a group, a β or a draw that
    it leaves open is met by the configured one alone. Of several rows the artefact's own leads, then what states more of group and β, then
    table 3's.
    """
    order = {
        "own": published["artefact"] != material.name,
        "says": -published[["group", "beta"]].notna().sum(axis=1),
        "first": published["artefact"] != FIRST,
    }
    stated = published.assign(**order).sort_values([*order, "artefact"], kind="stable")
    keys = [*IDENTITY, *material.axes]
    found = [_of_spectrum(spectrum, stated, calibration) for spectrum in material.spectra]
    for values, rows in material.numbers.groupby(keys, sort=False, dropna=False):
        run = dict(zip(keys, values, strict=True))
        met = _of_run(run, material.axes, stated, methods, calibration).drop_duplicates(["dataset", "metric"])
        met = met.merge(rows[["dataset", "metric"]], on=["dataset", "metric"], how="inner")
        found.append(met.assign(**run))
    columns = list(dict.fromkeys([*keys, "dataset", "metric", "value", "artefact", "layer"]))
    met_all = [frame.reindex(columns=columns) for frame in found if len(frame)]
    return pd.concat(met_all, ignore_index=True) if met_all else pd.DataFrame(columns=columns)


def _of_run(
    run: Mapping[str, Any],
    axes: tuple[str, ...],
    stated: pd.DataFrame,
    methods: Mapping[str, Mapping[str, Method]],
    calibration: Mapping[str, Any],
) -> pd.DataFrame:
    """The published rows that a run meets; none for a method that cannot apply to the model as configured, though a variant can."""
    known = {field.name for field in fields(Method)}
    values = {axis: run[axis] for axis in axes if not pd.isna(run[axis])}
    configured, theirs = methods[run["model"]].get(run["method"]), METHODS.get(run["method"])
    if configured is None or theirs is None:
        return stated[:0]
    method = replace(configured, **{axis: value for axis, value in values.items() if axis in known}).at(run["ratio"])
    told = [axis for axis in ("group", "beta") if getattr(theirs, axis) != getattr(Method, axis)]
    if replace(method, **{name: getattr(theirs, name) for name in (*NAMES, *told)}) != theirs.at(run["ratio"]):
        return stated[:0]
    met = stated[(stated["model"] == run["model"]) & (stated["method"] == run["method"]) & ((stated["ratio"] - run["ratio"]).abs() < 1e-6)]
    met = met[_says(met["group"], method.group, configured.group) & _says(met["beta"], method.beta, configured.beta)]
    if not method.reads_calibration:
        return met
    text = {key: values.get(axis, calibration[key]) for axis, key in CALIBRATION_AXES.items()} | {"length": calibration["length"]}
    return _on_text(met, text, calibration)


def _on_text(rows: pd.DataFrame, text: Mapping[str, Any], configured: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that are about a calibration on this text."""
    if (text["windows"], text["length"], configured.get("split", "train")) != (WINDOWS, LENGTH, "train") or not begun(configured):
        return rows[:0]
    return rows[(rows["corpus"] == text["corpus"]) & _says(rows["draw"], text["seed"], configured["seed"])]


def _of_spectrum(spectrum: Mapping[str, Any], stated: pd.DataFrame, calibration: Mapping[str, Any]) -> pd.DataFrame:
    """The published effective ranks of one spectrum."""
    rows = stated[(stated["metric"] == "effective_rank") & (stated["model"] == spectrum["model"])]
    if not len(rows) or spectrum["weighting"] != METHODS["d-rank"].weighting:
        return rows[:0]
    rows = _on_text(rows[rows["group"] == spectrum["group"]], spectrum["calibration"], calibration)
    return rows.assign(label=rows["method"])


def _says(column: pd.Series, value: Any, configured: Any) -> pd.Series:
    """Where a row says this value, or nothing, which a run meets as it is configured."""
    return (column.isna() & (value == configured)) | (column.astype("float64") - float(value)).abs().lt(1e-9)
