"""What the calibration text decides: effective rank, plan and perplexity over its size, its draw and its corpus, against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from drank.reporting.figures import scales
from drank.reporting.figures.calibration_texts import Line, Text, changes, moves, ordered_by, perplexities, texts_of, values
from drank.reporting.figures.curves import errors, options_of
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import GREY, Look, looks
from drank.reporting.figures.words import axis_words, listed, of_models, sentences
from drank.reporting.material import Material
from drank.reporting.names import competes, method_name, percent, unique

HEIGHT = 1.75
"""Inches of a panel."""

PARTS = {"spectra": "change of effective rank (%)", "plans": "parameters moved (%)", "perplexity": "perplexity ↓"}
"""The panels, with the labels of their axes."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Three panels a model over the calibrations: how far effective ranks change, what share of the parameters moves, and perplexity.

    All are compared with the calibration on the most windows, of several the one that comes first. Ranks and perplexities are those at the
    highest ratio; perplexity is that on the first corpus.
    """
    texts = texts_of(material)
    if len(texts) < 2:
        return note("No two calibrations differ in their text.", width)
    models = unique([*(spectrum["model"] for spectrum in material.spectra), *(plan.model for plan in material.plans)])
    reference = max(texts, key=lambda text: text.windows)
    ratio = max((plan.ratio for plan in material.plans if competes(plan.method)), default=0.0)
    ordered = ordered_by(texts, reference)
    numbers, dataset = perplexities(material, ratio)
    lines = {
        (model, part): found
        for model in models
        for part, found in {
            "spectra": changes(material.of(model), reference),
            "plans": moves(material.of(model), reference, ratio),
            "perplexity": values(material.of(model), numbers[numbers["model"] == model]),
        }.items()
        if found
    }
    blocks = [block for model in models if (block := [key for key in lines if key[0] == model])]
    if not blocks:
        return note("Nothing that was made on two texts was made on the largest as well.", width)
    figure, found = panels(blocks, width, HEIGHT)
    style = _styles(lines)
    used = []
    for (model, part), axes in found.items():
        axes.set_title(f"{model} · {PARTS[part]}" if len(models) > 1 else PARTS[part])
        ends = _panel(axes, lines[model, part], ordered, style)
        used.append(scales.fit(axes, "y", ends, HEIGHT - 0.8, wide=10))
        _ticks(axes, ordered, reference)
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, markeredgecolor="white", markeredgewidth=0.5) for look in style.values()
    ]
    legend_above(figure, handles, list(style))
    caption = _caption(models, lines, reference, ratio, dataset)
    return Drawn(figure, sentences(caption, axis_words(used, "axis")))


def _styles(lines: Mapping[tuple[str, str], Sequence[Line]]) -> dict[str, Look]:
    """A look for each method and spectrum by its name in the legend."""
    methods = unique(line.name for (_, part), found in lines.items() for line in found if part != "spectra")
    spectra = unique(line.name for (_, part), found in lines.items() for line in found if part == "spectra")
    known = {method_name(label): look for label, look in looks(["svd", "svd-llm", "basis-sharing", "d-rank"]).items()}
    greys = {name: Look(("black", GREY, "#b0b0b0")[index % 3], "oDs"[index % 3]) for index, name in enumerate(spectra)}
    return greys | looks(methods, known)


def _panel(axes: Axes, lines: Sequence[Line], ordered: Sequence[Text], style: Mapping[str, Look]) -> list[float]:
    """Marks with bars at the texts, joined along the windows; gives all that must stand on the axis."""
    for index, line in enumerate(lines):
        shown = [text for text in ordered if text in line.values]
        frame = pd.DataFrame([line.values[text] for text in shown], columns=["value", "ci_low", "ci_high"])
        aside = 0.4 * ((index + 0.5) / len(lines) - 0.5)
        places = [ordered.index(text) + aside for text in shown]
        joined = [text[:2] == ordered[0][:2] for text in shown]
        look = style[line.name]
        axes.errorbar(places, frame["value"], yerr=errors(frame), **(options_of(look) | {"linestyle": "none"}))
        axes.plot(np.array(places)[joined], frame["value"][joined], color=look.color, linewidth=0.9)
    return [value for line in lines for values in line.values.values() for value in values if np.isfinite(value)]


def _ticks(axes: Axes, ordered: Sequence[Text], reference: Text) -> None:
    """What each text is, as far as it differs from the reference; thin lines part sizes, draws and corpora."""
    same = [text for text in ordered if text[:2] == reference[:2]]
    names = [
        f"{text.windows} windows" if text in same else f"draw {text.seed}" if text.corpus == reference.corpus else text.corpus
        for text in ordered
    ]
    axes.set_xticks(range(len(ordered)), names, rotation=90)
    axes.set_xlim(-0.6, len(ordered) - 0.4)
    kinds = [(text.corpus != reference.corpus, text.seed != reference.seed and text.corpus == reference.corpus) for text in ordered]
    for place in range(1, len(ordered)):
        if kinds[place] != kinds[place - 1]:
            axes.axvline(place - 0.5, color=GREY, linewidth=0.6, linestyle=":", zorder=0)


def _caption(models: Sequence[str], lines: Mapping[tuple[str, str], Sequence[Line]], reference: Text, ratio: float, dataset: str) -> str:
    parts = {part for _, part in lines}
    others = {text for found in lines.values() for line in found for text in line.values if text[:2] != reference[:2]}
    sizes = listed(str(size) for size in sorted({text.windows for text in others}))
    return sentences(
        f"What the calibration text decides{of_models(models)}, against the reference of {reference.windows} windows of "
        f"{reference.corpus}, draw {reference.seed}.",
        f"Other draws and corpora have {sizes} windows." if others else "",
        "Effective rank: the median change over the groups, bars from the tenth to the ninetieth percentile." if "spectra" in parts else "",
        f"Parameters moved: the share of those kept at {percent(ratio)} removed that stand in another group." if "plans" in parts else "",
        f"Perplexity on {dataset} at {percent(ratio)}, with 95\u202f% intervals over windows." if "perplexity" in parts else "",
    )
