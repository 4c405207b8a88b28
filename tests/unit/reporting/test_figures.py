import re

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from drank.reporting.figures.scales import FOLD
from drank.reporting.figures.sheet import caption_in, save
from drank.reporting.names import method_name
from tests.unit.records_fixture import make_plan, make_spectrum
from tests.unit.reporting import materials
from tests.unit.reporting.materials import (
    FIGURES,
    MODELS,
    WIDTHS,
    assert_readable,
    caption_of,
    data_of,
    figure_of,
    legend,
    material_of,
    panels,
)

PLAIN = [name for name in FIGURES if name not in ("draws", "along", "after", "stability")]
"""The figures that need no runs along axes; the others are drawn of planted ones."""


@pytest.fixture(scope="module")
def data():
    return data_of()


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_data_make_the_same_files(tmp_path, name):
    data = data_of(("docs-mha",), (0.4,))
    for folder in ("a", "b"):
        save(FIGURES[name].draw(material_of(name, **data), "page"), tmp_path / folder / "f.pdf", tmp_path / folder / "f.png")
    for file in ("f.pdf", "f.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    pdf = (tmp_path / "a" / "f.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    assert b"CreationDate" not in pdf
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["f.pdf", "f.png"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("models", "ratios"), [(("one",), (0.2,)), (("one",), (0.2, 0.3, 0.4, 0.5)), (("a", "b", "c", "d"), (0.3,))])
def test_every_figure_can_be_read_at_the_size_it_is_printed(name, models, ratios, width):
    drawn = FIGURES[name].draw(material_of(name, **data_of(models, ratios)), width)
    assert drawn.figure.get_figwidth() == {"column": 3.35, "page": 6.9}[width]
    assert_readable(drawn.figure)


def test_a_file_for_all_models_and_one_for_each(data, tmp_path):
    found = materials.drawn("perplexity", material_of("perplexity", **data))
    assert list(found) == ["", "-docs-mha", "-docs-gqa"]
    assert [one.figure.get_figwidth() for one in found.values()] == [6.9, 3.35, 3.35]
    assert [
        one.caption.startswith(f"Perplexity of {of} against")
        for one, of in zip(found.values(), ["docs-mha and docs-gqa", *MODELS], strict=True)
    ]
    save(found[""], tmp_path / "a.pdf", tmp_path / "a.png")
    assert caption_in(tmp_path / "a.png") == found[""].caption
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == pytest.approx(6.9 * 300, abs=1)


def test_a_picture_without_a_caption_is_refused(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="no caption inside"):
        caption_in(tmp_path / "a.png")


def test_perplexity_has_a_panel_for_each_model_and_corpus(data):
    figure = figure_of("perplexity", data["summary"])
    assert len(panels(figure)) == 6
    assert legend(figure) == ["dense", *(method_name(method) for method in ("svd", "svd-llm", "basis-sharing", "d-rank", "random-ranks"))]
    dense = data["summary"].query("method == 'dense' and metric == 'perplexity'")["value"].tolist()
    drawn = [
        line.get_ydata()[0]
        for axes in panels(figure)
        for line in axes.get_lines()
        if line.get_linestyle() == "--" and len(line.get_ydata()) == 2
    ]
    assert sorted(drawn) == pytest.approx(sorted(dense))


@pytest.mark.parametrize("far", [1, 4000])
def test_all_values_stand_on_the_axis(data, far):
    summary = data["summary"].copy()
    summary.loc[(summary["method"] == "svd") & (summary["metric"] == "perplexity"), ["value", "ci_low", "ci_high"]] *= far
    rows = summary[(summary["metric"] == "perplexity") & (summary["method"] != "full-rank")]
    drawn = FIGURES["perplexity"].draw(material_of(summary=summary), "page")
    for axes in panels(drawn.figure):
        model, corpus = axes.get_title().split(" · ")
        here = rows[(rows["model"] == model) & (rows["dataset"] == corpus)]
        found = [value for container in axes.containers for value in container.lines[0].get_ydata()]
        assert sorted(found) == pytest.approx(sorted(here["value"][here["ratio"] > 0]))
        assert axes.get_ylim()[0] < here["ci_low"].min() and here["ci_high"].max() < axes.get_ylim()[1]
        assert not axes.texts
    assert ("compressed where it is shaded" in drawn.caption) == (far == 4000)


def test_a_folded_axis_leaves_room_for_what_is_not_far(data):
    summary = data["summary"].copy()
    summary.loc[(summary["method"] == "svd") & (summary["metric"] == "perplexity"), ["value", "ci_low", "ci_high"]] *= 4000
    axes = panels(figure_of("perplexity", summary))[0]
    here = summary[(summary["model"] == "docs-mha") & (summary["dataset"] == "python-docs") & (summary["metric"] == "perplexity")]
    near = here["ci_high"][~here["method"].isin(["svd"])].max()
    low, place, high = (axes.transData.transform((0, y))[1] for y in (axes.get_ylim()[0], near, axes.get_ylim()[1]))
    assert 0.4 < (place - low) / (high - low) < 0.66
    shaded = [patch for patch in axes.patches if patch.get_facecolor()[:3] == pytest.approx(to_rgb(FOLD))]
    assert len(shaded) == 1 and shaded[0].get_y() > near * 0.9


def test_a_wide_range_has_a_logarithmic_axis():
    wide = data_of(("one",), (0.2, 0.9), ("dense", "d-rank"))["summary"]
    wide.loc[(wide["ratio"] == 0.9), ["value", "ci_low", "ci_high"]] *= 40
    assert all(axes.get_yscale() in ("log", "function") for axes in panels(figure_of("perplexity", wide)))
    narrow = data_of(("one",), (0.2,), ("dense", "d-rank"))["summary"]
    assert all(axes.get_yscale() == "linear" for axes in panels(figure_of("perplexity", narrow)))


def test_accuracy_shows_dense_and_chance(data):
    figure = figure_of("accuracy", data["summary"])
    levels = {
        round(line.get_ydata()[0])
        for axes in panels(figure)
        for line in axes.get_lines()
        if line.get_linestyle() == ":" and len(line.get_ydata()) == 2
    }
    assert 25 in levels
    assert [axes.get_title() for axes in panels(figure)] == list(MODELS)


def test_ranks_show_every_projection_and_no_uniform_plan(data):
    figure = figure_of("ranks", plans=data["plans"])
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["Q", "K", "V", "O", "gate", "up", "down"] * 2
    assert legend(figure) == ["D-Rank, 20\u202f% removed", "D-Rank, 40\u202f% removed", "uniform at the same ratio", "break-even"]


def test_effective_rank_has_a_line_for_each_projection(data):
    figure = figure_of("effective_rank", spectra=data["spectra"])
    assert [axes.get_title() for axes in panels(figure)] == list(MODELS)
    assert legend(figure) == ["Q", "K", "V", "O", "gate", "up", "down"]
    assert all(axes.get_yscale() == "log" for axes in panels(figure))
    line = panels(figure)[0].get_lines()[0]
    assert list(line.get_xdata()) == [0.5, 2.5, 4.5, 6.5]


def test_two_spectra_of_one_model_are_told_apart():
    figure = figure_of("effective_rank", spectra=[make_spectrum("m", 2), make_spectrum("m", 1)])
    assert [axes.get_title() for axes in panels(figure)] == ["whitening-n2", "whitening-n1"]


def test_methods_may_be_missing():
    frame = data_of(("one",), (0.2,), ("svd", "my-method"))["summary"]
    figure = figure_of("perplexity", frame)
    assert legend(figure) == ["SVD", "my-method"]
    assert isinstance(figure_of("accuracy", frame), Figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_run_without_its_numbers_makes_a_figure_that_says_so(name, data):
    figure, caption = FIGURES[name].draw(material_of(name, data["summary"].iloc[:0]), "column")
    assert not figure.get_axes()
    assert re.fullmatch(r"No .*\.", figure.texts[0].get_text()) and caption == figure.texts[0].get_text()


@pytest.mark.parametrize("name", ["perplexity", "accuracy", "throughput"])
def test_the_dense_model_alone_can_be_drawn(name):
    assert isinstance(figure_of(name, data_of(("one",), (0.2,), ("dense",))["summary"]), Figure)


def test_uniform_ranks_are_drawn_where_there_are_no_others():
    assert legend(figure_of("ranks", plans=[make_plan("m", "svd-llm", 0.2)]))[0] == "SVD-LLM, 20\u202f% removed"


def test_only_the_kinds_asked_for_are_drawn(data):
    figure = figure_of("effective_rank", spectra=data["spectra"], options={"kinds": ["v", "q"]})
    assert legend(figure) == ["V", "Q"] and len(panels(figure)[0].get_lines()) == 2
    assert caption_of("effective_rank", spectra=data["spectra"], options={"kinds": ["v", "q"]}).startswith(
        "Effective rank of V and Q by layer"
    )
    with pytest.raises(ValueError, match="kinds w; under `kinds` may stand q, k"):
        figure_of("effective_rank", spectra=data["spectra"], options={"kinds": ["w"]})
