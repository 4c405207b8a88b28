"""How much effective ranks, plans and perplexities hang on the calibration."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from drank.methods import METHODS
from drank.reporting.tables.stability import stability
from drank.statistics.paired import paired_difference
from drank.variants import variant
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts
from tests.unit.records_fixture import make_plan, make_spectrum

AXES = {"corpus": ["python-docs", "python-code"], "windows": [8, 128], "draw": [13, 42]}
RUNS = [*DENSE, *grid("d-rank", (0.2,), **AXES)]
DOCS = {"on": ["python-docs"]}


def text_of(values):
    return {"corpus": values["corpus"], "seed": values["draw"], "windows": values["windows"], "length": 256}


def scaled(values, name):
    """A factor for a group under a calibration, 1 under the reference."""
    shift = 0.3 * (values["corpus"] != "python-docs") + 0.2 * (values["windows"] != 128) + 0.1 * (values["draw"] != 13)
    return 1 + shift * np.sin(1 + len(name) + sum(map(ord, name)))


def spectrum_of(values):
    spectrum = make_spectrum("docs-mha")
    groups = [{**group, "effective_rank": group["effective_rank"] * scaled(values, group["group"])} for group in spectrum["groups"]]
    return {**spectrum, "groups": groups, "calibration": text_of(values)}


def plan_of(values):
    plan = make_plan("docs-mha", "d-rank", 0.2)
    groups = tuple(replace(group, rank=round(group.rank * scaled(values, group.shape.name))) for group in plan.groups)
    settings = METHODS["d-rank"].settings()
    return replace(plan, method=variant("d-rank", values), groups=groups, settings=settings, calibration=text_of(values))


def whole(**options):
    values = [point for _, point, _ in RUNS[1:]]
    other = {**make_spectrum("docs-mha", group=1), "calibration": text_of(values[0])}
    return material_of(RUNS, {**DOCS, **options}, spectra=[other, *map(spectrum_of, values)], plans=[plan_of(point) for point in values])


REFERENCE = {"corpus": "python-docs", "windows": 128, "draw": 13}


def test_every_calibration_is_held_against_most_windows_of_the_first_corpus():
    material = whole()
    frame = stability(material).frame
    assert frame.loc[frame["reference"], ["corpus", "windows", "draw"]].to_dict("records") == [REFERENCE]
    base, there = plan_of(REFERENCE), {group["group"]: group["effective_rank"] for group in spectrum_of(REFERENCE)["groups"]}
    losses = {record.method: record.detail["python-docs"] for record in material.records}
    for row in frame.to_dict("records"):
        values = {axis: row[axis] for axis in AXES}
        here = {group["group"]: group["effective_rank"] for group in spectrum_of(values)["groups"]}
        assert row["rank_change"] == pytest.approx(median(abs(here[name] - there[name]) / there[name] for name in there))
        pairs = zip(plan_of(values).groups, base.groups, strict=True)
        assert row["moved"] == pytest.approx(sum(abs(one.parameters - two.parameters) for one, two in pairs) / 2 / base.parameters)
        own, first = losses[variant("d-rank", values)], losses[variant("d-rank", REFERENCE)]
        gap = paired_difference(own["window_loss"], own["window_tokens"], first["window_loss"], first["window_tokens"]).log_perplexity
        assert tuple(row[f"nats python-docs{end}"] for end in ("", " ci_low", " ci_high")) == pytest.approx(tuple(gap), abs=0)
    assert (frame["rank_change"] == 0).sum() == 1 == (frame["moved"] == 0).sum()


def test_rows_are_in_the_order_of_their_calibration():
    rows = texts(stability(whole()))
    assert [row[:3] for row in rows] == [
        [f"on {corpus}", f"draw {draw}", f"windows {windows}"]
        for corpus in ("python-docs", "python-code")
        for draw in (13, 42)
        for windows in (8, 128)
    ]
    assert [row[-1] == "reference" for row in rows] == [False, True, *[False] * 6]
    assert rows[1][3:5] == ["0.0", "0.0"]


def test_the_reference_can_be_named():
    frame = stability(whole(reference={"corpus": "python-code", "windows": 8})).frame
    assert frame.loc[frame["reference"], ["corpus", "windows", "draw"]].values.tolist() == [["python-code", 8, 13]]
    with pytest.raises(ValueError, match=r"option reference asks for windows 512, but the runs are d-rank\+corpus=python-docs\+windows=8"):
        stability(whole(reference={"windows": 512}))


def test_without_plans_and_spectra_there_are_dashes():
    table = stability(replace(whole(), plans=[], spectra=[]))
    assert {tuple(row[3:5]) for row in texts(table)} == {("–", "–")}
    assert {row[3] for row in texts(stability(replace(whole(), spectra=[])))} == {"–"}


def test_methods_and_ratios_are_blocks_and_what_reads_no_text_is_left_out():
    runs = [*DENSE, *grid("svd"), *grid("svd-llm", windows=[8, 128]), *grid("d-rank", windows=[8, 128])]
    table = stability(material_of(runs, DOCS))
    assert [row[:3] for row in texts(table)][::2] == [
        [name, ratio, "windows 8"] for name in ("SVD-LLM", "D-Rank") for ratio in ("20\u202f%", "40\u202f%")
    ]
    assert len(table.blocks) == 4


def test_runs_on_no_axis_of_calibration_are_refused():
    with pytest.raises(ValueError, match=r"runs on an axis of calibration are needed \(corpus, draw, windows\), and there are none"):
        stability(material_of(grid("d-rank", group=[1, 2]), DOCS))
