"""Colours and marks tell methods apart, and are the same in every figure."""

from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from drank.reporting.figures.style import GREY, LOOKS, SPARE, looks
from drank.reporting.names import method_name, percent
from drank.reporting.summary import summarise
from tests.unit.records_fixture import all_records, make_plan
from tests.unit.reporting.materials import figure_of, legend, panels


def test_looks_are_distinct_and_do_not_depend_on_the_order():
    every = [*LOOKS, "new", "another"]
    assert len(set(looks(every).values())) == len(every)
    assert looks(every)["new"] == looks(["new", "d-rank", "another"])["new"]
    assert len(set(SPARE) | set(LOOKS.values())) == len(SPARE) + len(LOOKS)
    with pytest.raises(ValueError, match=f"{len(SPARE) + 1} methods"):
        looks([f"m{index}" for index in range(len(SPARE) + 1)])


def test_methods_without_a_look_of_their_own_differ_in_colour_and_in_marker():
    """As on paper without colour, and for who sees none."""
    assert len({look.marker for look in SPARE[:8]}) == 8
    assert all(one.color != two.color for one, two in pairwise(SPARE[:8]))
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)


def marked(lines):
    """Colour and marker of those lines that have one, ends of bars left out."""
    return [(line.get_color(), line.get_marker()) for line in lines if line.get_marker() not in ("None", "none", "", None, "|", "_")]


@pytest.mark.parametrize("name", ["perplexity", "accuracy"])
def test_a_line_looks_as_the_legend_says_where_models_have_other_methods(name):
    """Spare looks go by the alphabet: alone, `zeta` would look as `alpha` does."""
    methods = {"one": ("dense", "d-rank", "zeta"), "two": ("dense", "alpha", "zeta")}
    summary = summarise([record for model, found in methods.items() for record in all_records((model,), found, (0.2, 0.4))])
    figure = figure_of(name, summary)
    names = [name for name in legend(figure) if name not in ("dense", "chance")]
    told = dict(zip(names, marked(figure.legends[0].findobj(Line2D)), strict=True))
    assert len(set(told.values())) == 3
    for axes in panels(figure):
        shown = methods[axes.get_title().partition(" ")[0]][1:]
        found = marked(container.lines[0] for container in axes.containers)
        assert sorted(found) == sorted(told[method_name(method)] for method in shown)
        lines = {float(container.lines[0].get_ydata()[0]): mark for container, mark in zip(axes.containers, found, strict=True)}
        rows = summary[(summary["model"] == axes.get_title().partition(" ")[0]) & (summary["ratio"] == 0.2)]
        by_value = dict(zip(rows["value"] * (100 if name == "accuracy" else 1), rows["method"], strict=True))
        assert all(told[method_name(by_value[value])] == mark for value, mark in lines.items())


def test_ranks_have_the_colours_of_their_legend_where_models_have_other_methods_and_ratios():
    runs = [("one", "zeta", 0.2), ("two", "zeta", 0.4), ("two", "alpha", 0.2)]
    figure = figure_of("ranks", plans=[replace(make_plan(model, "d-rank", ratio), method=method) for model, method, ratio in runs])
    told = {text: to_rgb(handle.get_color()) for text, handle in zip(legend(figure), figure.legends[0].legend_handles, strict=True)}
    every = panels(figure)
    for model, parts in {"one": every[:7], "two": every[7:]}.items():
        expected = [told[f"{method_name(method)}, {percent(ratio)} removed"] for one, method, ratio in runs if one == model]
        for axes in parts:
            full = [to_rgb(patch.get_edgecolor()) for patch in axes.patches if patch.get_linestyle() in ("-", "solid")]
            dotted = {to_rgb(patch.get_edgecolor()) for patch in axes.patches if patch.get_linestyle() in (":", "dotted")}
            assert full == expected and dotted == {to_rgb(GREY)}
    assert len(set(told.values())) == 5
