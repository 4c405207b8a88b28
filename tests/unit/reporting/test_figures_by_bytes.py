"""Decode speed against bytes: each model stands at what it reads no more, beside the line at which that is all it gains."""

import pandas as pd
import pytest

from drank.reporting.figures.by_bytes import points_of
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS
from tests.unit.reporting.materials import FIGURES, assert_readable, caption_of, data_of, figure_of, legend, marks, material_of, panels


@pytest.fixture(scope="module")
def summary(records):
    return summarise(records, METHODS)


def number(summary, method, metric, dataset, ratio=0.2, model="docs-mha"):
    rows = summary[(summary["model"] == model) & (summary["method"] == method) & (summary["ratio"] == ratio)]
    return rows[(rows["metric"] == metric) & (rows["dataset"] == dataset)]["value"].item()


def test_a_mark_stands_at_the_bytes_that_dense_reads_more_and_at_its_speed(summary):
    (_, mha) = panels(figure_of("bytes", summary))
    dense = number(summary, "dense", "weight_bytes", "memory", 0.0)
    fewer = dense / number(summary, "svd", "weight_bytes", "memory")
    found = {(round(x, 6), y) for x, y in marks(mha)}
    assert (round(fewer, 6), round(number(summary, "svd", "speedup_over_dense", "decode"), 9)) in found


def test_on_the_limit_speed_and_bytes_are_one(summary):
    for axes in panels(figure_of("bytes", summary)):
        line = next(line for line in axes.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) == 2)
        assert list(line.get_xdata()) == list(line.get_ydata()) and line.get_xdata()[0] == 1
    assert legend(figure_of("bytes", summary))[:2] == ["limit", "dense"]


def test_a_variant_is_beside_the_dense_model_in_the_same_variant(summary):
    alike = summary["dataset"].isin(["decode", "memory"])
    compiled = summary[alike].assign(dataset=summary["dataset"] + "-compiled")
    compiled.loc[compiled["metric"] == "weight_bytes", "value"] += 1e6
    points = points_of(material_of("any", pd.concat([summary, compiled], ignore_index=True)))
    found = points[(points["model"] == "docs-mha") & (points["method"] == "svd") & (points["ratio"] == 0.2)].set_index("dataset")["fewer"]
    own, dense = number(summary, "svd", "weight_bytes", "memory"), number(summary, "dense", "weight_bytes", "memory", 0.0)
    assert found["decode"] == pytest.approx(dense / own) and found["decode-compiled"] == pytest.approx((dense + 1e6) / (own + 1e6))


def test_controls_that_remove_nothing_are_left_out_and_the_caption_says_so(summary):
    assert set(points_of(material_of("any", summary))["ratio"]) == {0.2, 0.4}
    assert "Left out, as it removes nothing: Full rank." in caption_of("bytes", summary)


def test_without_a_dense_model_there_is_nothing_to_stand_beside(summary):
    figure, caption = FIGURES["bytes"].draw(material_of("bytes", summary[summary["method"] != "dense"]), "column")
    assert caption == "No decoding was timed of a compressed model and of the dense one." and not panels(figure)


@pytest.mark.parametrize("width", ["column", "page"])
def test_many_methods_share_one_look_but_the_fastest(width):
    many = tuple(f"d-rank@beta={share / 20}" for share in range(10))
    data = data_of(("docs-mha",), (0.2, 0.4), ("dense", "svd", *many))
    figure = figure_of("bytes", data["summary"], width)
    assert_readable(figure)
    assert "other methods" in legend(figure) and len(legend(figure)) == 2 + 8 + 1
