"""Effective rank by group of layers, a column for each kind of projection (the paper's table 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from drank.methods import METHODS
from drank.models.families import kind_of
from drank.reporting.material import Material
from drank.reporting.names import number, role_name, unique
from drank.reporting.tables.artefact import table_of
from drank.reporting.tables.axes import printed
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.variants import CALIBRATION_AXES, base_of

Layers = tuple[int, ...]

Ranks = Mapping[tuple[str, Layers], float]
"""Effective ranks by kind and layers."""

HEADS = {"model": "Model", "spectrum": "Spectrum"}
"""The headers of what spectra differ in where the values do not name it."""


def effective_rank(material: Material) -> Table:
    """The table of the material's spectra with the kinds of the option `kinds` (all): a block for each spectrum, a row for each group.

    Kinds that are grouped otherwise have rows of their own; experts of a layer are taken together at their mean. What the spectra differ
    in (model, weighting, calibration) heads the rows. Raises ValueError for kinds that no spectrum has, and for two spectra that nothing
    tells apart.
    """
    there = unique(kind_of(group["role"]) for spectrum in material.spectra for group in spectrum["groups"])
    kinds = list(material.options.get("kinds", there))
    unknown = [kind for kind in kinds if kind not in there]
    if there and unknown:
        raise ValueError(f"{material.name}: option kinds names {', '.join(unknown)}, but the spectra are of {', '.join(there)}")
    names = [_name(spectrum) for spectrum in material.spectra]
    told = [axis for axis in ("model", "spectrum", *CALIBRATION_AXES) if len({name[axis] for name in names} - {None}) > 1]
    heads = [tuple(name[axis] for axis in told) for name in names]
    if len(set(heads)) < len(heads):
        raise ValueError(f"{material.name}: two of the {len(heads)} spectra are of one model, weighting and calibration; leave one out")
    blocks = [_block(spectrum, kinds, told, published_ranks(material, spectrum)) for spectrum in material.spectra]
    columns = [Column(HEADS.get(axis, ""), align="l") for axis in told]
    columns += [Column("Layers", align="l"), *(Column(role_name(kind), "Effective rank") for kind in kinds)]
    rows = [row for spectrum in material.spectra for row in _numbers(spectrum, kinds, published_ranks(material, spectrum))]
    frame = pd.DataFrame(rows).dropna(axis="columns", how="all")
    return table_of(material, _caption(material, frame), columns, blocks, frame)


def _block(spectrum: Mapping[str, Any], kinds: Sequence[str], told: Sequence[str], stated: Ranks) -> list[list[Cell]]:
    """The rows of a spectrum: what tells it from others in the first of them, the layers, and the effective rank of each kind."""
    name, ranks = _name(spectrum), _ranks(spectrum)
    heads = [Cell(str(name[axis]) if axis in HEADS else printed(axis, name[axis])) for axis in told]
    groups = sorted({layers for kind, layers in ranks if kind in kinds}, key=lambda layers: (layers[0], len(layers)))
    rows: list[list[Cell]] = []
    for layers in groups:
        places = [(kind, layers) for kind in kinds]
        cells = [_cell(ranks[place], stated.get(place)) if place in ranks else MISSING for place in places]
        rows.append([*([Cell("")] * len(heads) if rows else heads), Cell(_span(layers)), *cells])
    return rows


def _numbers(spectrum: Mapping[str, Any], kinds: Sequence[str], stated: Ranks) -> list[dict[str, Any]]:
    """The numbers of a spectrum, one a row."""
    told = ((kind, layers, rank) for (kind, layers), rank in _ranks(spectrum).items() if kind in kinds)
    return [
        {**_name(spectrum), "layers": _span(layers), "kind": kind, "effective_rank": rank, "published": stated.get((kind, layers))}
        for kind, layers, rank in told
    ]


def _name(spectrum: Mapping[str, Any]) -> dict[str, Any]:
    """What a spectrum is of: model, weighting with its options, and the calibration by axis."""
    calibration = spectrum.get("calibration") or {}
    told = {axis: calibration.get(key) for axis, key in CALIBRATION_AXES.items()}
    return {"model": spectrum["model"], "spectrum": spectrum["spectrum"], **told}


def _ranks(spectrum: Mapping[str, Any]) -> Ranks:
    """The effective rank of each kind and group of layers."""
    found: dict[tuple[str, Layers], list[float]] = {}
    for group in spectrum["groups"]:
        found.setdefault((kind_of(group["role"]), tuple(group["layers"])), []).append(group["effective_rank"])
    return {place: fmean(ranks) for place, ranks in found.items()}


def published_ranks(material: Material, spectrum: Mapping[str, Any]) -> Ranks:
    """The paper's effective ranks where this is the spectrum of its method; it counts the groups of a kind from 1 on."""
    published = material.published
    if published is None or "layer" not in published:
        return {}
    found: dict[tuple[str, Layers], float] = {}
    for row in published[(published["metric"] == "effective_rank") & (published["model"] == spectrum["model"])].to_dict("records"):
        method = METHODS[base_of(row["method"])]
        groups = sorted({tuple(group["layers"]) for group in spectrum["groups"] if kind_of(group["role"]) == row["dataset"]})
        if method.spectrum == spectrum["spectrum"] and row["layer"] <= len(groups):
            found[row["dataset"], groups[int(row["layer"]) - 1]] = float(row["value"])
    return found


def _span(layers: Sequence[int]) -> str:
    """The layers of a group, counted from 0 as in the names of its files."""
    return str(layers[0]) if len(layers) == 1 else f"{layers[0]}–{layers[-1]}"


def _cell(rank: float, stated: float | None) -> Cell:
    return Cell(number(rank, 1), "" if stated is None or math.isnan(stated) else f"({stated:g})")


def _caption(material: Material, frame: pd.DataFrame) -> str:
    """What is shown, and of what."""
    if frame.empty:
        return f"Nothing to show of {', '.join(material.models)}: no spectrum was needed."
    alike = [axis for axis in ("model", "spectrum", "corpus") if axis in frame and frame[axis].nunique(dropna=False) == 1]
    shared = {axis: frame[axis].iloc[0] for axis in alike}
    caption = "Effective rank by group of layers" + (f" of {shared['model']}" if "model" in shared else "")
    caption += f", spectrum {shared['spectrum']}" if "spectrum" in shared else ""
    caption += f", calibrated on {shared['corpus']}" if "corpus" in shared else ""
    return caption + "." + (" In parentheses: published." if "published" in frame else "")
