"""Methods with names that are wider than a column: figures break them into lines, and keep their panels."""

from dataclasses import replace

import pytest

from tests.unit.records_fixture import make_plan
from tests.unit.reporting.materials import WIDTHS, assert_readable, data_of, figure_of, legend, panels
from tests.unit.reporting.test_figures_dots import FEW, summary_of

LONG = "our-own-method-with-a-rather-long-name-that-no-column-can-hold"


def assert_whole(figure):
    """All of its legend lies inside, nothing overlaps, and panels have room."""
    assert_readable(figure)
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    sizes = [axes.get_position() for axes in panels(figure)]
    assert min(size.width for size in sizes) * figure.get_figwidth() > 0.7
    assert min(size.height for size in sizes) * figure.get_figheight() > 0.3
    assert all(not axes.get_window_extent().overlaps(box) for axes in panels(figure))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["perplexity", "accuracy", "throughput", "frontier"])
def test_a_legend_breaks_long_names(name, width):
    figure = figure_of(name, data_of(("one",), (0.2, 0.4), ("dense", "d-rank", LONG, f"{LONG}-too"))["summary"], width)
    assert len(LONG) > 60 and {LONG, f"{LONG}-too"} <= {text.replace("\n", "") for text in legend(figure)}
    assert_whole(figure)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_legend_of_ranks_breaks_long_names(width):
    plans = [replace(make_plan("one", "d-rank", ratio), method=method) for method in ("d-rank", LONG) for ratio in (0.2, 0.4)]
    assert_whole(figure_of("ranks", plans=plans, width=width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["perplexity", "accuracy"])
def test_rows_of_dots_leave_room_for_panels(name, width):
    figure = figure_of(name, summary_of(("one", "two"), (0.2, 0.4), (*FEW, LONG)), width)
    names = [label.get_text() for label in panels(figure)[0].get_yticklabels()]
    assert LONG in {name.replace("\n", "") for name in names}
    assert_whole(figure)
