"""What the calibration text decides, against the run on the most windows."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.reporting.materials import FIGURES, legend, marks, panels, values
from tests.unit.reporting.planted import stability


def test_stability_compares_with_the_most_windows():
    material = stability(("one", "two"))
    figure, caption = FIGURES["stability"].draw(material, "page")
    assert [axes.get_title() for axes in panels(figure)[:3]] == [
        "one · change of effective rank (%)",
        "one · parameters moved (%)",
        "one · perplexity ↓",
    ]
    ranks, plans, perplexity = panels(figure)[:3]
    names = ["8 windows", "32 windows", "128 windows", "512 windows", "draw 42", "draw 512", "reference", "code"]
    assert [label.get_text() for label in ranks.get_xticklabels()] == names
    assert legend(figure) == ["whitening-n2", "SVD-LLM", "D-Rank"]
    by = {tuple(one["calibration"].values()): [group["effective_rank"] for group in one["groups"]] for one in material.of("one").spectra}
    change = 100 * np.abs(np.divide(by["docs", 13, 8], by["docs", 13, 512]) - 1)
    assert any(y == pytest.approx(np.median(change)) and round(x) == 0 for x, y in marks(ranks))
    assert len({round(x) for x, _ in marks(ranks)}) == 7, "the reference differs from itself by nothing"
    one, two = (
        next(plan for plan in material.of("one").plans if plan.ratio == 0.4 and plan.method == label)
        for label in ("d-rank+windows=8", "d-rank+windows=512")
    )
    moved = sum(abs(a.parameters - b.parameters) for a, b in zip(one.groups, two.groups, strict=True)) / 2 / two.parameters
    assert any(y == pytest.approx(100 * moved) for _, y in marks(plans))
    rows = material.numbers.query("model == 'one' and ratio == 0.4 and dataset == 'docs'")
    assert values(perplexity) == pytest.approx(sorted(round(value, 9) for value in rows["value"]))
    assert "reference of 512 windows of docs, draw 13. Other draws and corpora have 128 windows." in caption
    assert "at 40\u202f% removed" in caption


def test_one_calibration_says_nothing_of_stability():
    material = stability()
    one = replace(material, spectra=material.spectra[:1], plans=[plan for plan in material.plans if plan.method == "d-rank"])
    figure, caption = FIGURES["stability"].draw(one, "column")
    assert not figure.get_axes() and caption == "No two calibrations differ in their text."


def test_spectra_may_be_missing_where_plans_are_compared():
    material = stability()
    figure, caption = FIGURES["stability"].draw(replace(material, spectra=()), "column")
    assert [axes.get_title() for axes in panels(figure)] == ["parameters moved (%)", "perplexity ↓"]
    assert "Effective rank" not in caption and math.isclose(figure.get_figwidth(), 3.35)


def test_every_text_stands_at_its_own_perplexity_also_where_there_is_a_mean_over_draws():
    material = stability()
    several = material.numbers.assign(draw_mean=2 * material.numbers["value"], spread=0.1, draws=3)
    *_, one = panels(FIGURES["stability"].draw(material, "page").figure)
    *_, other = panels(FIGURES["stability"].draw(replace(material, numbers=several), "page").figure)
    assert marks(one) == marks(other)
