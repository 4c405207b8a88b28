"""Effective rank by group of layers: the paper's table 1, other groupings, experts, several spectra."""

from __future__ import annotations

import pandas as pd
import pytest

from drank.reporting.material import IDENTITY, Material
from drank.reporting.tables.effective_ranks import effective_rank
from tests.unit.artefacts_fixture import texts
from tests.unit.records_fixture import make_spectrum

NONE = pd.DataFrame(columns=[*IDENTITY, "dataset", "metric", "value"])


def material_of(*spectra, published=None, **options):
    return Material("table1", NONE, spectra=spectra, options=options, published=published)


def calibrated(model="docs-mha", group=2, **text):
    return make_spectrum(model, group) | {"calibration": {"corpus": "python-docs", "seed": 13, "windows": 128, **text}}


def test_groups_are_rows_and_kinds_columns_in_the_order_asked_for():
    spectrum = calibrated()
    table = effective_rank(material_of(spectrum, kinds=["v", "k", "q"]))
    ranks = {(group["role"], group["layers"][0]): group["effective_rank"] for group in spectrum["groups"]}
    assert [column.label for column in table.columns] == ["Layers", "V", "K", "Q"]
    expected = [[f"{first}–{first + 1}", *(f"{ranks[kind, first]:.1f}" for kind in "vkq")] for first in range(0, 8, 2)]
    assert texts(table) == expected
    assert (table.name, table.model) == ("table1", "docs-mha")
    assert table.caption == "Effective rank by group of layers of docs-mha, spectrum whitening-n2, calibrated on python-docs."
    assert table.frame["effective_rank"].tolist() == [ranks[kind, first] for kind in "qkv" for first in range(0, 8, 2)]


def test_kinds_that_are_grouped_otherwise_have_rows_of_their_own():
    rows = texts(effective_rank(material_of(calibrated(), kinds=["q", "o"])))
    assert [row[0] for row in rows[:4]] == ["0", "0–1", "1", "2"]
    assert [[cell == "–" for cell in row[1:]] for row in rows[:3]] == [[True, False], [False, True], [True, False]]


def test_experts_are_taken_together():
    spectrum = calibrated(group=1)
    gates = [group for group in spectrum["groups"] if group["role"] == "gate"]
    experts = [{**group, "role": f"gate.{expert}", "effective_rank": rank} for group in gates for expert, rank in enumerate((10.0, 30.0))]
    assert [row[1] for row in texts(effective_rank(material_of({**spectrum, "groups": experts})))] == ["20.0"] * 8


def test_what_spectra_differ_in_heads_their_rows():
    spectra = [calibrated(), calibrated("docs-gqa"), calibrated(seed=42), calibrated(group=1), calibrated(group=1, corpus=None, seed=None)]
    table = effective_rank(material_of(*spectra[:4], kinds=["q"]))
    assert [texts(table)[index][:3] for index in (0, 1, 4, 8)] == [
        ["docs-mha", "whitening-n2", "draw 13"],
        ["", "", ""],
        ["docs-gqa", "whitening-n2", "draw 13"],
        ["docs-mha", "whitening-n2", "draw 42"],
    ]
    assert len(table.blocks) == 4
    assert table.caption == "Effective rank by group of layers, calibrated on python-docs."
    untold = effective_rank(material_of(spectra[0], spectra[4], kinds=["q"]))
    assert [column.label for column in untold.columns] == ["Spectrum", "Layers", "Q"]
    assert "calibrated" not in untold.caption
    with pytest.raises(ValueError, match="two of the 2 spectra are of one model, weighting and calibration"):
        effective_rank(material_of(spectra[0], spectra[0]))


def test_the_papers_ranks_stand_beside_the_spectrum_of_its_method():
    row = {"method": "d-rank", "label": "d-rank", "ratio": None, "metric": "effective_rank"}
    stated = [
        {"model": "docs-mha", **row, "dataset": "v", "layer": 3, "value": 592.0},
        {"model": "m", **row, "dataset": "v", "layer": 1, "value": 1.0},
    ]
    material = material_of(calibrated(), calibrated(group=1), published=pd.DataFrame(stated), kinds=["v"])
    table = effective_rank(material)
    assert [row[-1].endswith("(592)") for row in texts(table)] == [False, False, True, *[False] * 9]
    assert table.caption.endswith("In parentheses: published.")
    assert table.frame["published"].dropna().tolist() == [592.0]


def test_kinds_that_are_not_there_are_named_and_no_spectra_are_no_table():
    with pytest.raises(ValueError, match="option kinds names qkv, but the spectra are of q, k, v, o"):
        effective_rank(material_of(calibrated(), kinds=["qkv"]))
    nothing = effective_rank(material_of(kinds=["q"]))
    assert nothing.blocks == () and nothing.caption.startswith("Nothing to show")
