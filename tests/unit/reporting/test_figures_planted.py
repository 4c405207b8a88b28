"""The figures of runs along axes: draws, fine-tuning, bytes and speed, the calibration text."""

import math
from dataclasses import replace

import pytest

from drank.reporting.figures.series import series
from drank.reporting.figures.sheet import save
from drank.reporting.names import method_name
from tests.unit.reporting.materials import FIGURES, WIDTHS, assert_readable, drawn, legend, panels, values
from tests.unit.reporting.planted import CORPORA, PLANTED, after, along, draws, material, row


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("models", [("one",), ("Llama-3.2-1B", "Qwen3-0.6B")])
@pytest.mark.parametrize("name", PLANTED)
def test_every_figure_can_be_read_at_the_size_it_is_printed(name, models, width):
    assert_readable(FIGURES[name].draw(PLANTED[name](models), width).figure)


@pytest.mark.parametrize("name", PLANTED)
def test_a_changed_number_changes_the_files(tmp_path, name):
    one = PLANTED[name]()
    last = one.numbers[one.numbers["metric"] == "perplexity"].iloc[-1]
    changed = (one.numbers["label"] == last["label"]) & (one.numbers["ratio"] == last["ratio"]) & (one.numbers["metric"] == "perplexity")
    numbers = one.numbers.assign(value=one.numbers["value"].where(~changed, one.numbers["value"] * 1.01))
    for folder, of in (("a", one), ("b", one), ("c", replace(one, numbers=numbers))):
        save(FIGURES[name].draw(of, "column"), tmp_path / folder / "f.pdf", tmp_path / folder / "f.png")
    for file in ("f.pdf", "f.png"):
        first, same, other = ((tmp_path / folder / file).read_bytes() for folder in "abc")
        assert first == same != other


def test_draws_stand_with_the_mean_of_each_method():
    material = draws(("one", "two"), (0.2, 0.4))
    found = drawn("draws", material)
    assert list(found) == ["", "-one", "-two"]
    figure, caption = FIGURES["draws"].draw(material, "page")
    assert len(panels(figure)) == 2 * len(CORPORA) * 2
    assert [axes.get_title() for axes in panels(figure)[:3]] == [
        "one · docs · 20\u202f% removed",
        "one · docs · 40\u202f% removed",
        "one · reference · 20\u202f% removed",
    ]
    rows = material.numbers.query("model == 'one' and ratio == 0.2 and dataset == 'docs'")
    axes = panels(figure)[0]
    assert values(axes) == pytest.approx(sorted(rows["value"][rows["draw"].notna()]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["13", "42", "512", "1024"]
    across = {round(line.get_ydata()[0], 6) for line in axes.get_lines() if line.get_marker() == "None"}
    assert across == {round(found["value"].mean(), 6) for _, found in rows.groupby("method")}
    assert legend(figure) == [method_name(method) for method in ("svd", "svd-llm", "basis-sharing", "d-rank")]
    assert "(4 seeds), 20\u202f% and 40\u202f% of the parameters" in caption and "SVD was not drawn again." in caption
    spread = material.numbers.dropna(subset="draw").groupby(["model", "dataset", "ratio", "method"])["value"].agg(["min", "max"])
    low, high = spread.loc[(spread["max"] / spread["min"]).idxmax()]
    assert f": {low:.2f} to {high:.2f}." in caption


def test_a_line_along_an_axis_is_a_method_without_its_value_there():
    material = along(("one",), (0.2, 0.4))
    figure, caption = FIGURES["along"].draw(material, "page")
    assert [axes.get_title() for axes in panels(figure)[:2]] == ["docs · 20\u202f% removed", "docs · 40\u202f% removed"]
    axes = panels(figure)[0]
    rows = material.numbers.query("ratio == 0.2 and dataset == 'docs'")
    for bars, method in zip(axes.containers, ("l-rank", "svd-llm"), strict=True):
        expected = rows[rows["method"] == method].sort_values("windows")
        assert list(bars.lines[0].get_xdata()) == [15, 30, 60, 120, 240, 480]
        assert list(bars.lines[0].get_ydata()) == pytest.approx(list(expected["value"]))
    across = {line.get_ydata()[0] for line in axes.get_lines() if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2}
    dense = material.numbers.query("method == 'dense' and dataset == 'docs'")["value"]
    assert {*dense, *rows.query("method == 'svd'")["value"]} <= across
    assert [label.get_text() for label in axes.get_xticklabels()][::-1] == ["15", "30", "60", "120", "240", "480"]
    assert axes.get_xscale() == "log" and figure.get_supxlabel() == "windows of calibration text"
    assert legend(figure) == [*map(method_name, ("svd", "l-rank", "svd-llm")), "dense"]
    assert (
        "windows of calibration text (15, 30, 60, 120, 240 and 480)" in caption and "A line across is SVD without a value there." in caption
    )


def test_an_axis_that_begins_at_zero_is_linear():
    figure, _ = FIGURES["along"].draw(along(amounts=(0, 1, 2, 4), axis="corrections"), "column")
    assert panels(figure)[0].get_xscale() == "linear"
    assert [label.get_text() for label in panels(figure)[0].get_xticklabels()][::-1] == ["0", "1", "2", "4"]


def test_points_that_have_the_name_of_another_method_stay_in_their_series():
    """Of the grid beta 0, .1, .3 of a method whose own is .3, where another method of the configuration is the one with .1."""
    labels = {0.0: "d-rank+beta=0", 0.1: "mine", 0.3: "d-rank"}
    rows = [row("one", label, 0.2, "docs", 2 + beta, method="d-rank", beta=beta) for beta, label in labels.items()]
    rows += [row("one", "svd-llm", 0.2, "docs", 2.5, method="svd-llm"), row("one", "d-rank", 0.2, "docs", 2.3, method="d-rank")]
    found = series(material("m", rows, ("beta",)), "beta")
    assert list(found["series"]) == ["d-rank", "d-rank", "d-rank", "svd-llm"]
    assert list(found["beta"])[:3] == [0.0, 0.1, 0.3] and math.isnan(found["beta"].iloc[3])


def test_without_an_axis_of_draws_there_is_nothing_to_draw():
    figure, caption = FIGURES["draws"].draw(after(), "column")
    assert not figure.get_axes() and caption.startswith("No perplexity was measured by draw")


def test_both_forms_of_a_method_share_a_colour():
    material = after(("one", "two"))
    figure, caption = FIGURES["after"].draw(material, "page")
    assert legend(figure) == ["dense", "after LoRA", "without", "SVD-LLM", "D-Rank", "Basis Sharing"]
    axes = panels(figure)[0]
    rows = material.numbers.query("model == 'one' and dataset == 'docs' and ratio > 0")
    assert values(axes) == pytest.approx(sorted(rows["value"]))
    lines = {round(line.get_ydata()[0], 9): line for line in axes.get_lines() if len(line.get_ydata()) == 4}
    first = rows[rows["ratio"] == 0.2].set_index("label")["value"].round(9)
    for plain, tuned in (("d-rank", "tuned-d-rank"), ("svd-llm", "svd-llm+finetune_from=0.2")):
        assert lines[first[plain]].get_color() == lines[first[tuned]].get_color()
        assert (lines[first[plain]].get_markerfacecolor(), lines[first[plain]].get_linestyle()) == ("white", "--")
        assert lines[first[tuned]].get_linestyle() == "-"
    assert "LoRA (SVD-LLM and D-Rank), broken lines without" in caption
    assert "SVD-LLM at 50\u202f% on docs (one): 18.17 without, 14.88 after" in caption


@pytest.mark.parametrize("other", [{"beta": 0.1}, {"given": {"sha256": "1" * 64, "method": None}}])
def test_a_method_whose_settings_differ_has_no_other_form(other):
    material = after()
    plans = [replace(plan, settings=plan.settings | other) if plan.method == "tuned-d-rank" else plan for plan in material.plans]
    assert "tuned-d-rank" in legend(FIGURES["after"].draw(replace(material, plans=plans), "page").figure)


def test_a_run_without_fine_tuning_says_so():
    figure, caption = FIGURES["after"].draw(draws(), "column")
    assert not figure.get_axes() and caption == "No perplexity was measured of a fine-tuned model."
