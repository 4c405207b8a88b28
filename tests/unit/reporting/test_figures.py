import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from drank.reporting.figures import FIGURES, save
from drank.reporting.figures.style import LOOKS, SPARE, STYLE, looks
from drank.reporting.names import method_name
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS, all_records, make_plan, make_spectrum

MODELS = ("docs-mha", "docs-gqa")


def data_of(models=MODELS, ratios=(0.2, 0.4), methods=METHODS):
    return {
        "summary": summarise(all_records(models, methods, ratios), methods, models),
        "plans": [
            make_plan(model, method, ratio) for model in models for method in ("svd-llm", "d-rank", "random-ranks") for ratio in ratios
        ],
        "spectra": [make_spectrum(model) for model in models],
    }


@pytest.fixture(scope="module")
def data():
    return data_of()


def panels(figure):
    return [axes for axes in figure.get_axes() if axes.get_visible()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_data_make_the_same_files(tmp_path, name):
    drawing, data = FIGURES[name], data_of(("docs-mha",), (0.4,))
    for folder in ("a", "b"):
        save(drawing(data[drawing.source]), tmp_path / folder / "f.pdf", tmp_path / folder / "f.png")
    for file in ("f.pdf", "f.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    pdf = (tmp_path / "a" / "f.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    assert b"CreationDate" not in pdf
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["f.pdf", "f.png"]


def texts_of(figure):
    """All texts a reader sees, without the names of level lines, which stand on top of them."""
    yield from (text for legend in figure.legends for text in legend.get_texts())
    for axes in panels(figure):
        yield from (text for text in axes.texts if text.get_text() not in ("chance", "dense"))
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible())


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("models", "ratios"), [(("one",), (0.2,)), (("one",), (0.2, 0.3, 0.4, 0.5)), (("a", "b", "c", "d"), (0.3,))])
def test_no_two_texts_overlap(name, models, ratios):
    data = data_of(models, ratios)
    drawing = FIGURES[name]
    figure = drawing(data[drawing.source])
    with mpl.rc_context(STYLE):  # ticks are made when they are drawn
        figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure) if text.get_text().strip()]
    clashes = [
        (one, two)
        for i, (one, a) in enumerate(boxes)
        for two, b in boxes[i + 1 :]
        if a.overlaps(b) and _inside(figure, a) and _inside(figure, b)
    ]
    assert not clashes


def _inside(figure, box):
    return figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1


def test_perplexity_has_a_panel_for_each_model_and_corpus(data):
    figure = FIGURES["perplexity"](data["summary"])
    assert len(panels(figure)) == 6
    assert legend(figure) == [method_name(method) for method in ("dense", "svd", "svd-llm", "basis-sharing", "d-rank", "random-ranks")]
    dense = data["summary"].query("method == 'dense' and metric == 'perplexity'")["value"].tolist()
    drawn = [
        line.get_ydata()[0]
        for axes in panels(figure)
        for line in axes.get_lines()
        if line.get_linestyle() == "--" and len(line.get_ydata()) == 2
    ]
    assert sorted(drawn) == pytest.approx(sorted(dense))


def test_values_beyond_the_panel_are_printed_above_it(data):
    figure = FIGURES["perplexity"](data["summary"])
    svd = data["summary"].query("method == 'svd' and metric == 'perplexity' and ratio == 0.4 and model == 'docs-mha'")["value"]
    printed = [text.get_text() for axes in panels(figure) for text in axes.texts]
    assert all(f"↑{value:.1f}" in printed for value in svd)
    others = data["summary"].query("method in ('d-rank', 'svd-llm', 'basis-sharing', 'random-ranks') and metric == 'perplexity'")
    for axes in panels(figure):
        model, corpus = axes.get_title().split(" · ")
        here = others[(others["model"] == model) & (others["dataset"] == corpus)]["value"]
        assert axes.get_ylim()[0] < here.min() <= here.max() < axes.get_ylim()[1]


def test_a_wide_range_has_a_logarithmic_axis():
    wide = data_of(("one",), (0.2, 0.9), ("dense", "d-rank"))["summary"]
    wide.loc[(wide["ratio"] == 0.9), ["value", "ci_low", "ci_high"]] *= 40
    assert all(axes.get_yscale() == "log" for axes in panels(FIGURES["perplexity"](wide)))
    narrow = data_of(("one",), (0.2,), ("dense", "d-rank"))["summary"]
    assert all(axes.get_yscale() == "linear" for axes in panels(FIGURES["perplexity"](narrow)))


def test_accuracy_shows_dense_and_chance(data):
    figure = FIGURES["accuracy"](data["summary"])
    levels = {
        round(line.get_ydata()[0])
        for axes in panels(figure)
        for line in axes.get_lines()
        if line.get_linestyle() == ":" and len(line.get_ydata()) == 2
    }
    assert 25 in levels
    assert [axes.get_title() for axes in panels(figure)] == list(MODELS)


def test_ranks_show_every_projection_and_no_uniform_plan(data):
    figure = FIGURES["ranks"](data["plans"])
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["Q", "K", "V", "O", "gate", "up", "down"] * 2
    assert legend(figure) == ["D-Rank, 20\u202f% removed", "D-Rank, 40\u202f% removed", "uniform at the same ratio", "break-even"]


def test_effective_rank_has_a_line_for_each_projection(data):
    figure = FIGURES["effective_rank"](data["spectra"])
    assert [axes.get_title() for axes in panels(figure)] == list(MODELS)
    assert legend(figure) == ["Q", "K", "V", "O", "gate", "up", "down"]
    assert all(axes.get_yscale() == "log" for axes in panels(figure))
    line = panels(figure)[0].get_lines()[0]
    assert list(line.get_xdata()) == [0.5, 2.5, 4.5, 6.5]


def test_two_spectra_of_one_model_are_told_apart():
    figure = FIGURES["effective_rank"]([make_spectrum("m", 2), make_spectrum("m", 1)])
    assert [axes.get_title() for axes in panels(figure)] == ["m · whitening-n2", "m · whitening-n1"]


def test_methods_may_be_missing():
    frame = data_of(("one",), (0.2,), ("svd", "my-method"))["summary"]
    figure = FIGURES["perplexity"](frame)
    assert legend(figure) == ["SVD", "my-method"]
    assert isinstance(FIGURES["accuracy"](frame), Figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_run_without_its_numbers_makes_a_figure_that_says_so(name, data):
    empty = {"summary": data["summary"].iloc[:0], "plans": [], "spectra": []}
    figure = FIGURES[name](empty[FIGURES[name].source])
    assert not figure.get_axes()
    assert re.fullmatch(r"No .*\.", figure.texts[0].get_text())


@pytest.mark.parametrize("name", ["perplexity", "accuracy", "throughput"])
def test_the_dense_model_alone_can_be_drawn(name):
    assert isinstance(FIGURES[name](data_of(("one",), (0.2,), ("dense",))["summary"]), Figure)


def test_uniform_ranks_are_drawn_where_there_are_no_others():
    assert legend(FIGURES["ranks"]([make_plan("m", "svd-llm", 0.2)]))[0] == "SVD-LLM, 20\u202f% removed"


def test_looks_are_distinct_and_do_not_depend_on_the_order():
    every = [*LOOKS, "new", "another"]
    assert len(set(looks(every).values())) == len(every)
    assert looks(every)["new"] == looks(["new", "d-rank", "another"])["new"]
    assert len(set(SPARE) | set(LOOKS.values())) == len(SPARE) + len(LOOKS)
    with pytest.raises(ValueError, match=f"{len(SPARE) + 1} methods"):
        looks([f"m{index}" for index in range(len(SPARE) + 1)])


def test_captions_end_as_sentences():
    assert all(re.fullmatch(r"[A-Z].*\.", drawing.caption) for drawing in FIGURES.values())
