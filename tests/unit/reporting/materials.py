"""Materials for the tests of figures, and what a reader sees of a figure."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd

from drank.reporting.artefact import figures_of
from drank.reporting.figures.style import STYLE
from drank.reporting.layouts import LAYOUTS
from drank.reporting.material import Material
from drank.reporting.summary import COLUMNS, summarise
from tests.unit.records_fixture import METHODS, all_records, make_plan, make_spectrum

WIDTHS = ("column", "page")

MODELS = ("docs-mha", "docs-gqa")


NAMES = {
    "effective_rank": "effective_rank_by_layer",
    "ranks": "ranks_by_layer",
    "perplexity": "perplexity_by_ratio",
    "after": "fine_tuning",
    "accuracy": "accuracy_by_ratio",
    "throughput": "throughput_by_ratio",
    "bytes": "speedup_by_bytes",
    "draws": "draws",
    "along": "perplexity_by_axis",
    "frontier": "frontier",
    "stability": "stability_by_layer",
}
"""The layouts of figures by what the tests call them."""

FIGURES = {name: SimpleNamespace(draw=LAYOUTS[layout].load()) for name, layout in NAMES.items()}


def drawn(name, material):
    """All figures of a material in a layout, by what follows its name in the names of their files."""
    return figures_of({"name": "", "layout": NAMES[name], "notes": dict.fromkeys(material.models, ""), "options": {}}, material)


def material_of(name="any", summary=None, axes=(), **parts):
    """A material of a summary in which methods go by their labels; columns of axes may stand beside its own."""
    summary = pd.DataFrame(columns=list(COLUMNS)) if summary is None else summary
    return Material(name, summary.assign(label=summary["method"]), axes, **{"options": {"axis": "windows"}} | parts)


def figure_of(name, summary=None, width="page", **parts):
    """The figure alone, of one layout."""
    return FIGURES[name].draw(material_of(name, summary, **parts), width).figure


def caption_of(name, summary=None, width="page", **parts):
    """The caption alone."""
    return FIGURES[name].draw(material_of(name, summary, **parts), width).caption


def panels(figure):
    return [axes for axes in figure.get_axes() if axes.get_visible()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts_of(figure):
    """All texts a reader sees."""
    for part in (figure, *figure.subfigs):
        yield from part.texts
        yield from (text for found in part.legends for text in found.get_texts())
    for axes in panels(figure):
        yield from axes.texts
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible())


def seen(figure):
    """Those of them that say something and are visible, once drawn."""
    with mpl.rc_context(STYLE):  # ticks are made when they are drawn
        figure.canvas.draw()
    return [text for text in texts_of(figure) if text.get_text().strip() and text.get_visible()]


def assert_readable(figure):
    """Nothing overlaps, nothing is cut off, nothing is smaller than 6 points, and the figure is as wide as one column or two."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen(figure)]
    assert not [(one, two) for i, (one, a) in enumerate(boxes) for two, b in boxes[i + 1 :] if a.overlaps(b)]
    page = figure.bbox.padded(1)
    assert not [text for text, box in boxes if not page.containsx(box.x0) or not page.containsx(box.x1)]
    assert not [text for text, box in boxes if not page.containsy(box.y0) or not page.containsy(box.y1)]
    assert not [text.get_text() for text in seen(figure) if text.get_fontsize() < 6]
    assert figure.get_figwidth() in (3.35, 6.9)


def marks(axes):
    """The coordinates of all marks of a panel, without the ends of bars."""
    return {
        (float(x), round(float(y), 9))
        for line in axes.get_lines()
        if line.get_marker() not in ("None", "", None, "|", "_")
        for x, y in zip(*line.get_data(), strict=True)
    }


def values(axes):
    return sorted(y for _, y in marks(axes))


def data_of(models=MODELS, ratios=(0.2, 0.4), methods=METHODS):
    """Summary, plans and spectra of a run."""
    return {
        "summary": summarise(all_records(models, methods, ratios), methods, models),
        "plans": [
            make_plan(model, method, ratio) for model in models for method in ("svd-llm", "d-rank", "random-ranks") for ratio in ratios
        ],
        "spectra": [make_spectrum(model) for model in models],
    }
