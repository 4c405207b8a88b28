"""Effective rank by layer (the paper's figure 2), of every kind of projection or of those asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from drank.models.families import kind_of
from drank.reporting.figures import scales
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import ROLE_LOOKS, looks
from drank.reporting.figures.words import axis_words, listed, of_models, sentences
from drank.reporting.material import Material
from drank.reporting.names import role_name, unique

HEIGHT = 1.7
"""Inches of a panel."""

Spectrum = Mapping[str, Any]


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Effective rank by layer, a line for each projection; a panel for each model and spectrum.

    The option `kinds` lists the projections drawn. ValueError where no spectrum has one of them.
    """
    if not material.spectra:
        return note("No spectrum was needed: nothing was compressed.", width)
    kinds = _kinds(material)
    spectra = [
        {**spectrum, "groups": [group for group in spectrum["groups"] if kind_of(group["role"]) in kinds]} for spectrum in material.spectra
    ]
    figure, found = panels([range(len(spectra))], width, HEIGHT)
    used = []
    for (index, axes), title in zip(found.items(), titles(spectra), strict=True):
        axes.set_title(title)
        for kind in kinds:
            _line(axes, kind, [group for group in spectra[index]["groups"] if kind_of(group["role"]) == kind])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        ends = [group["effective_rank"] for spectrum in spectra for group in spectrum["groups"]]
        used.append(scales.fit(axes, "y", ends, HEIGHT - 0.4))
    figure.supxlabel("layer")
    figure.supylabel("effective rank")
    style = looks(kinds, ROLE_LOOKS)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    legend_above(
        figure, [Line2D([], [], color=style[kind].color, marker=style[kind].marker, **edge) for kind in kinds], list(map(role_name, kinds))
    )
    return Drawn(figure, _caption(spectra, kinds, material, used))


def titles(spectra: Sequence[Spectrum]) -> list[str]:
    """What tells each spectrum from the others: its model, what it is a spectrum of, and the text it was made on, as far as they differ."""
    told = [
        {"model": spectrum["model"], "spectrum": spectrum["spectrum"]}
        | {key: spectrum.get("calibration", {}).get(key) for key in ("corpus", "windows", "seed")}
        for spectrum in spectra
    ]
    words = {"windows": "{} windows", "seed": "draw {}"}
    differing = [key for key in told[0] if len({one[key] for one in told}) > 1] or ["model"]
    return [" · ".join(words.get(key, "{}").format(one[key]) for key in differing if one[key] is not None) for one in told]


def _kinds(material: Material) -> list[str]:
    """The kinds drawn, in their order."""
    present = unique(kind_of(group["role"]) for spectrum in material.spectra for group in spectrum["groups"])
    kinds = list(material.options.get("kinds", present))
    if unknown := [kind for kind in kinds if kind not in present]:
        raise ValueError(
            f"{material.name}: no model has projections of the kinds {listed(unknown)}; under `kinds` may stand {listed(present)}"
        )
    return kinds


def _line(axes: Axes, kind: str, groups: Sequence[Mapping[str, Any]]) -> None:
    """Effective rank of one kind of projection by layer, the mean over experts where a layer has several."""
    look = looks([kind], ROLE_LOOKS)[kind]
    middles: dict[float, list[float]] = {}
    for group in groups:
        middles.setdefault((group["layers"][0] + group["layers"][-1]) / 2, []).append(group["effective_rank"])
    every = max(1, len(middles) // 16)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    axes.plot(list(middles), list(map(fmean, middles.values())), color=look.color, marker=look.marker, markevery=every, **edge)


def _caption(spectra: Sequence[Spectrum], kinds: Sequence[str], material: Material, used: Sequence[scales.Scale]) -> str:
    groups, models = [group for spectrum in spectra for group in spectrum["groups"]], unique(spectrum["model"] for spectrum in spectra)
    places = [
        (index, kind_of(group["role"]), tuple(group["layers"])) for index, spectrum in enumerate(spectra) for group in spectrum["groups"]
    ]
    named = listed(map(role_name, kinds)) if "kinds" in material.options else "each projection"
    return sentences(
        f"Effective rank of {named} by layer{of_models(models)}: the exponential of the entropy of "
        f"the squared singular values, weighted by {listed(unique(spectrum['weighting'] for spectrum in spectra))}.",
        "A group of layers that shares a basis is drawn at its middle." if any(len(group["layers"]) > 1 for group in groups) else "",
        "The experts of a layer are drawn at their mean." if len(set(places)) < len(places) else "",
        axis_words(used, "axis"),
    )
