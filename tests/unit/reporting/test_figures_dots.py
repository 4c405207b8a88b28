"""Dot plots, which runs with more methods than one panel can show get for curves."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from drank.reporting.figures.method_order import standing
from drank.reporting.figures.style import MANY
from drank.reporting.names import method_name
from tests.unit.reporting.materials import WIDTHS, assert_readable, caption_of, figure_of, legend, panels

FEW = ("svd", "asvd-search", "svd-llm", "d-rank", "io-svd", "swift-svd", "gfwsvd", "optimal", "random-ranks")
LOTS = (*FEW[:-1], *(f"a-variant-{index}-of-mine" for index in range(18)), "random-ranks")
RATIOS = (0.2, 0.3, 0.4)
DOTS = {"perplexity": "perplexity", "accuracy": "accuracy", "throughput": "speedup_over_dense"}
PLACES = {"perplexity": ("docs", "reference", "code"), "accuracy": ("average",), "speedup_over_dense": ("prefill", "decode")}


def summary_of(models=("one",), ratios=(0.2, 0.4), methods=FEW):
    """A summary with every value a figure of many methods reads, drawn from a seed."""
    random = np.random.default_rng(7)
    hurt = dict(zip(("dense", *methods), (0, *random.permutation(len(methods)) + 1), strict=True))
    rows = []
    for model, (metric, places), method in product(models, PLACES.items(), hurt):
        for place, ratio in product(places, ratios if method != "dense" else (0.0,)):
            damage = ratio * (1 + hurt[method] / len(hurt)) * random.uniform(0.95, 1.05)
            value = {"perplexity": 8 * math.exp(3 * damage), "accuracy": 0.3 + 0.4 * math.exp(-damage)}.get(metric, 1 + damage)
            if method != "dense" or metric != "speedup_over_dense":
                rows.append(
                    (model, method, ratio, place, metric, value, 0.95 * value, 1.08 * value, 0.25 if metric == "accuracy" else None)
                )
    columns = ["model", "method", "ratio", "dataset", "metric", "value", "ci_low", "ci_high", "chance"]
    return pd.DataFrame(rows, columns=columns).astype({"chance": "float64"}).assign(checkpoint="")


def names_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def dots_of(axes):
    """The dots of a panel by colour: {colour: {line: value}}."""
    return {
        to_hex(line.get_color()): {round(y): x for x, y in zip(*line.get_data(), strict=True)}
        for line in (container.lines[0] for container in axes.containers)
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("models", "ratios", "methods"),
    [
        (("one",), (0.2,), FEW),
        (("Llama-3.2-1B-Instruct", "Qwen3-0.6B-Base"), RATIOS, LOTS),
        (("a", "b", "c", "d", "e"), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), FEW),
    ],
)
def test_many_methods_can_be_read(models, ratios, methods, width):
    summary = summary_of(models, ratios, methods)
    for name in DOTS:
        assert_readable(figure_of(name, summary, width))


def test_wide_ranges_can_be_read():
    summary = summary_of()
    for scale in (1.0, 30.0, 3e4):
        wide = summary.assign(
            **{column: summary[column] * np.where(summary["method"] == "svd", scale, 1) for column in ("value", "ci_high")}
        )
        assert_readable(figure_of("perplexity", wide))


def test_the_design_changes_beyond_a_named_number_of_methods():
    assert len(FEW) == MANY + 1
    few, many = (figure_of("perplexity", summary_of(methods=methods)) for methods in (FEW[1:], FEW))
    assert few.get_supylabel() == "perplexity ↓"
    assert many.get_supxlabel() == "perplexity ↓"
    assert method_name("d-rank") in legend(few)
    assert legend(many) == ["dense", "20\u202f% removed", "40\u202f% removed"]
    assert all("The best is on top" in caption_of(name, summary_of()) for name in DOTS)
    assert "on top" not in caption_of("perplexity", summary_of(methods=FEW[1:]))


def test_every_value_is_a_dot_on_the_line_of_its_method():
    summary = summary_of(("one", "two"), RATIOS)
    figure = figure_of("perplexity", summary)
    rows = summary[summary["metric"] == "perplexity"]
    corpora = list(dict.fromkeys(rows["dataset"]))
    found = panels(figure)
    assert [axes.get_title() for axes in found] == corpora * 2
    colors = [to_hex(handle.get_color()) for handle in figure.legends[0].legend_handles[1:]]
    assert len(set(colors)) == len(RATIOS)
    for place, axes in enumerate(found):
        here = rows[(rows["model"] == ("one", "two")[place // 3]) & (rows["dataset"] == corpora[place % 3])]
        names = names_of(found[3 * (place // 3)])
        assert axes.get_xscale() == "log"
        assert axes.get_ylim() == (len(FEW) - 0.5, -0.5)
        for ratio, color in zip(RATIOS, colors, strict=True):
            values = here[here["ratio"] == ratio].set_index("method")["value"]
            drawn = {names[line]: value for line, value in dots_of(axes)[color].items()}
            assert drawn == {method_name(method): pytest.approx(value) for method, value in values.items()}
            low, high = axes.get_xlim()
            assert low < here["ci_low"].min() <= here["ci_high"].max() < high
        dense = [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert dense == pytest.approx(here.loc[here["method"] == "dense", "value"].tolist())
    assert names_of(found[1]) == []
    assert [axes.texts[0].get_text() for axes in found[::3]] == ["one", "two"]


def test_bars_span_the_interval():
    summary = summary_of(ratios=(0.4,))
    rows = summary[(summary["metric"] == "perplexity") & (summary["dataset"] == "code")].set_index("method")
    axes = panels(figure_of("perplexity", summary))[2]
    bars = axes.containers[0].lines[2][0].get_segments()
    drawn = sorted((segment[0, 0], segment[1, 0]) for segment in bars)
    assert np.array(drawn) == pytest.approx(np.array(sorted(zip(*rows.loc[list(FEW), ["ci_low", "ci_high"]].to_numpy().T, strict=True))))


def test_the_best_method_is_on_top_and_controls_are_last():
    summary = summary_of()
    for name, metric in DOTS.items():
        sign = 1 if name == "perplexity" else -1
        rows = summary[(summary["metric"] == metric) & (summary["ratio"] == 0.4)]
        score = {method: sign * np.log(rows.loc[rows["method"] == method, "value"]).mean() for method in FEW[:-1]}
        axes = panels(figure_of(name, summary))[0]
        assert names_of(axes) == [method_name(method) for method in [*sorted(score, key=score.get), "random-ranks"]]
        lines = [line.get_ydata()[0] for line in axes.get_lines() if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2]
        assert len(FEW) - 1.5 in lines  # between competitors and controls


def test_accuracy_shows_chance_and_throughput_dense():
    summary = summary_of(("one", "two"))
    accuracy, throughput = figure_of("accuracy", summary), figure_of("throughput", summary)
    assert [axes.get_title() for axes in panels(accuracy)] == ["one", "two"]
    assert legend(accuracy)[:2] == ["dense", "chance"]
    for axes in panels(accuracy):
        assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"] == [25]
        assert axes.get_xlim() == panels(accuracy)[0].get_xlim()
    for axes in panels(throughput):
        assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"] == [1]


def test_missing_values_leave_gaps():
    summary = summary_of(("one", "two"))
    gone = (summary["method"] == "d-rank") & (summary["ratio"] == 0.4)
    gone |= (summary["model"] == "two") & (summary["dataset"] == "code")
    figure = figure_of("perplexity", summary[~gone].assign(ci_low=math.nan, ci_high=math.nan))
    first = panels(figure)[0]
    line = names_of(first).index("D-Rank")
    assert [line in dots for dots in dots_of(first).values()] == [True, False]
    assert not any(dots_of(panels(figure)[5]).values())
    assert_readable(figure)


def test_methods_are_ordered_at_the_highest_ratio_that_all_have():
    def rows(*values):
        return pd.DataFrame(values, columns=["method", "ratio", "value"])

    full = rows(("a", 0.2, 3.0), ("b", 0.2, 2.0), ("a", 0.4, 4.0), ("b", 0.4, 5.0), ("full-rank", 0.4, 1.0), ("dense", 0.0, 1.0))
    options = {"less_is_better": True, "logarithmic": True}
    assert standing({"p": full}, **options) == ["a", "b", "full-rank"]
    assert standing({"p": full}, less_is_better=False, logarithmic=False) == ["b", "a", "full-rank"]
    assert standing({"p": full[full["value"] != 4]}, **options) == ["b", "a", "full-rank"]  # a is missing at 0.4
    assert standing({"p": rows(("b", 0.2, 1.0), ("a", 0.4, 9.0), ("c", 0.4, 3.0))}, **options) == ["c", "a", "b"]  # none has all
    # the mean of the logarithms, in which p's tenfold gap outweighs q's twofold one whatever their levels
    panels = {"p": rows(("a", 0.4, 10.0), ("b", 0.4, 100.0)), "q": rows(("a", 0.4, 2000.0), ("b", 0.4, 1000.0))}
    assert standing(panels, **options) == ["a", "b"]
    assert standing({"p": rows(("a", 0.4, 1.0))}, **options) == ["a"]
    assert standing({"p": rows(("random-ranks", 0.4, 1.0))}, **options) == ["random-ranks"]


def test_a_model_may_have_one_method_only():
    summary = summary_of(("one", "two"))
    figure = figure_of("perplexity", summary[(summary["model"] == "one") | (summary["method"] == "io-svd")])
    assert names_of(panels(figure)[3]) == ["IO-SVD"]
    assert_readable(figure)
