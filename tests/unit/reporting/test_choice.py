"""β picked on validation text against β picked on test text."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drank.reporting.tables.choice import choice
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts

BETAS = [0.2, 0.3, 0.4]
RUNS = [*DENSE, *grid("svd-llm"), *grid("d-rank", beta=BETAS)]
OPTIONS = {"validation": "python-docs.validation"}


def validated(material, **options):
    """The material with python-code told to be validation text of python-docs."""
    numbers = material.numbers.assign(dataset=material.numbers["dataset"].replace("python-code", "python-docs.validation"))
    return replace(material, numbers=numbers, options=options or material.options)


def perplexities(material, dataset, ratio, method="d-rank", model="docs-mha"):
    rows = material.numbers
    rows = rows[(rows["dataset"] == dataset) & (rows["metric"] == "perplexity") & (rows["ratio"] == ratio)]
    return rows[(rows["method"] == method) & (rows["model"] == model)]["value"].to_numpy()


def test_each_choice_is_the_lowest_of_its_text_and_is_held_to_the_test_text():
    material = validated(material_of(RUNS, OPTIONS, ("docs-mha", "docs-gqa")))
    table = choice(material)
    assert len(table.frame) == 4
    for row in table.frame.to_dict("records"):
        test = perplexities(material, "python-docs", row["ratio"], model=row["model"])
        validation = perplexities(material, "python-docs.validation", row["ratio"], model=row["model"])
        honest, tuned = int(np.argmin(validation)), int(np.argmin(test))
        assert (row["beta_by_validation"], row["beta_by_test"]) == (BETAS[honest], BETAS[tuned])
        assert (row["perplexity_by_validation"], row["perplexity_by_test"]) == (test[honest], test[tuned])
    row = table.frame.iloc[0]
    lost = row["perplexity_by_validation"], row["perplexity_by_test"]
    assert texts(table)[0] == [
        *("docs-mha", "D-Rank", "20\u202f%", f"{row['beta_by_validation']:g}", f"{row['beta_by_test']:g}"),
        *(f"{lost[0]:.2f}", f"{lost[1]:.2f}", f"{lost[0] - lost[1]:.3f}", f"{math.log(lost[0] / lost[1]):.4f}"),
    ]
    assert any(row["perplexity_by_validation"] > row["perplexity_by_test"] for row in table.frame.to_dict("records"))


def test_headers_name_the_option():
    assert [group for group, _ in choice(validated(material_of(RUNS, OPTIONS))).groups][1] == "β chosen on"
    damped = material_of(grid("l-rank", (0.2,), damping=[0.1, 0.01]), {})
    table = choice(validated(damped, validation="python-docs.validation", axis="damping"))
    assert table.caption.startswith("damping chosen on validation text (python-docs.validation)")
    assert "damping_by_test" in table.frame


def test_other_axes_are_contests_of_their_own_and_test_texts_are_named_where_several():
    runs = grid("d-rank", (0.2,), beta=[0.2, 0.3], group=[1, 2])
    table = choice(validated(material_of(runs, {}), validation="python-docs.validation", on=["python-docs", "python-reference"]))
    assert [row[:3] for row in texts(table)] == [
        ["D-Rank", "n = 1", "python-docs"],
        ["D-Rank", "n = 1", "python-reference"],
        ["D-Rank", "n = 2", "python-docs"],
        ["D-Rank", "n = 2", "python-reference"],
    ]


def test_what_cannot_be_compared_is_named():
    with pytest.raises(
        ValueError, match=r"needs perplexity on python-docs.validation and .* on the axis beta, but measured are python-docs, "
    ):
        choice(material_of(RUNS, OPTIONS))
    with pytest.raises(ValueError, match="correct validation, on or axis"):
        choice(validated(material_of(RUNS, {}), validation="python-docs.validation", on=["python-docs.validation"]))
    with pytest.raises(ValueError, match="on the axes beta; correct"):
        choice(validated(material_of(RUNS, {}), validation="python-docs.validation", axis="mix"))
    whole = validated(material_of(RUNS, OPTIONS))
    lacking = (whole.numbers["beta"] == 0.3) & (whole.numbers["ratio"] == 0.4) & (whole.numbers["dataset"] == "python-docs.validation")
    with pytest.raises(ValueError, match=r"docs-mha, D-Rank, 40\u202f%: beta 0.3 was measured on python-docs.validation alone or"):
        choice(replace(whole, numbers=whole.numbers[~lacking]))


def test_one_value_is_no_choice():
    table = choice(validated(material_of(grid("d-rank", beta=[0.3]), OPTIONS)))
    assert table.blocks == () and table.caption.startswith("Nothing to show of docs-mha")
