"""Where many methods put their budget: a small map for each, layer by kind of projection, in colours around the uniform share."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from drank.allocation.plan import Plan
from drank.reporting.figures.sheet import INCHES, TALLEST, Drawn, Width
from drank.reporting.figures.words import of_models, sentences
from drank.reporting.names import method_name, percent, role_name, unique

COLUMNS: dict[Width, tuple[int, ...]] = {"column": (3, 4, 5), "page": (6, 8, 10)}
"""Maps in a row, at most: the first of these with which the figure fits a page."""

SHARES = {0.25: "×¼", 0.5: "×½", 1.0: "uniform share", 2.0: "×2", 4.0: "×4"}
"""The shares named along the colour bar; those beyond its ends take the colours of its ends."""

LEAST, MOST = math.log2(min(SHARES)), math.log2(max(SHARES))
"""How often the uniform share is doubled (or halved, below zero) from one end of the colours to the other."""

COLOURS = colormaps["RdBu_r"].with_extremes(bad="#b5b5b5")
"""Red for more than the uniform share, blue for less, grey where a layer has no such projection."""

DOT: dict[str, Any] = {"color": "black", "marker": ".", "markersize": 2.2, "linestyle": "none", "markeredgewidth": 0}


def maps(plans: Sequence[Plan], width: Width) -> Drawn:
    """A map for each plan, in a block for each model; the plans are of one ratio."""
    models = unique(plan.model for plan in plans)
    blocks = [[plan for plan in plans if plan.model == model] for model in models]
    kinds = [unique(group.shape.kind for plan in block for group in plan.groups) for block in blocks]
    for most in COLUMNS[width]:
        columns = math.ceil(max(map(len, blocks)) / math.ceil(max(map(len, blocks)) / most))
        room = int((INCHES[width] - 0.4) / columns / 0.062)
        heights = [_height(block, columns, len(names), room) for block, names in zip(blocks, kinds, strict=True)]
        if sum(heights) < TALLEST - 0.55:
            break
    figure = Figure(figsize=(INCHES[width], 0.55 + sum(heights)), layout="constrained")
    head, *parts = figure.subfigures(1 + len(models), 1, squeeze=False, height_ratios=[0.55, *heights])[:, 0]
    for part, model, block, names in zip(parts, models, blocks, kinds, strict=True):
        if len(models) > 1:
            part.suptitle(model, fontweight="bold")
        _block(part, block, names, columns, room)
    _colour_bar(head, plans, width)
    return Drawn(figure, _caption(plans, models))


def shares(plan: Plan, kinds: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The parameters kept over those of the uniform share, and whether they are stored uncompressed, both (kinds, layers).

    The experts of a layer count together. NaN where a layer has no such projection.
    """
    size = (len(kinds), 1 + max(group.shape.layers[-1] for group in plan.groups))
    kept, whole, dense = np.zeros(size), np.zeros(size), np.full(size, fill_value=True)
    for group in plan.groups:
        cell = kinds.index(group.shape.kind), list(group.shape.layers)
        kept[cell] += group.parameters / len(group.shape.layers)
        whole[cell] += group.shape.dense_parameters / len(group.shape.layers)
        dense[cell] &= group.dense
    present = whole > 0
    return np.divide(kept, (1 - plan.ratio) * whole, out=np.full(size, np.nan), where=present), dense & present


def _caption(plans: Sequence[Plan], models: Sequence[str]) -> str:
    groups = [group for plan in plans for group in plan.groups]
    cells = [(index, group.shape.kind, group.shape.layers) for index, plan in enumerate(plans) for group in plan.groups]
    held = [{(group.shape.kind, layer) for group in plan.groups for layer in group.shape.layers} for plan in plans]
    gaps = any(len(found) < len({kind for kind, _ in found}) * len({layer for _, layer in found}) for found in held)
    return sentences(
        f"Where each method puts the parameters that it keeps{of_models(models)}, {percent(plans[0].ratio)} removed: layers across, "
        "projections down, the parameters kept over those of the uniform share, red for more and blue for less, the darkest for all beyond "
        "four times or a quarter.",
        "A dot marks what is stored uncompressed." if any(group.dense for group in groups) else "",
        "The experts of a layer are taken together." if len(set(cells)) < len(cells) else "",
        "Grey says that a layer has no such projection." if gaps else "",
    )


def _title(plan: Plan, room: int) -> list[str]:
    """The lines of `room` letters in which the method's name fits above its map."""
    return textwrap.wrap(method_name(plan.method), room)


def _height(plans: Sequence[Plan], columns: int, kinds: int, room: int) -> float:
    """Inches that a block needs for its maps, for their titles and for what stands above and below."""
    rows = [plans[first : first + columns] for first in range(0, len(plans), columns)]
    return 0.4 + sum(0.14 + 0.115 * max(len(_title(plan, room)) for plan in row) + 0.1 * kinds for row in rows)


def _block(part: SubFigure, plans: Sequence[Plan], kinds: Sequence[str], columns: int, room: int) -> None:
    """The maps of one model."""
    rows = math.ceil(len(plans) / columns)
    panels = list(part.subplots(rows, columns, squeeze=False).flat)
    for index, (plan, axes) in enumerate(zip(plans, panels, strict=False)):
        _map(axes, plan, kinds)
        axes.set_title("\n".join(_title(plan, room)))
        axes.set_yticks(range(len(kinds)), [role_name(kind) for kind in kinds] if index % columns == 0 else [])
        axes.tick_params(labelbottom=index >= (rows - 1) * columns)
    for axes in panels[len(plans) :]:
        axes.set_visible(False)
    part.supxlabel("layer")


def _map(axes: Axes, plan: Plan, kinds: Sequence[str]) -> None:
    """The map of one plan, kinds from top to bottom, a dot in each cell that is stored uncompressed."""
    share, dense = shares(plan, kinds)
    with np.errstate(divide="ignore"):
        twofolds = np.maximum(np.log2(share), LEAST - 1)  # a rank of zero is off the scale as well
    edges = np.arange(share.shape[1] + 1) - 0.5, np.arange(len(kinds) + 1) - 0.5
    axes.pcolormesh(*edges, np.ma.masked_invalid(twofolds), cmap=COLOURS, vmin=LEAST, vmax=MOST, edgecolors="face", linewidth=0.2)
    rows, layers = np.nonzero(dense)
    axes.plot(layers, rows, **DOT)
    axes.set_xlim(*edges[0][[0, -1]])
    axes.set_ylim(*edges[1][[-1, 0]])
    axes.grid(visible=False)
    axes.tick_params(labelsize=6, length=1.5, pad=1.5)
    axes.spines[["top", "right"]].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))


def _colour_bar(head: SubFigure, plans: Sequence[Plan], width: Width) -> None:
    """What the colours and the dots mean, in words."""
    axes = head.add_axes((0.3, 0.42, 0.4, 0.18) if width == "page" else (0.12, 0.42, 0.76, 0.18))
    bar = head.colorbar(ScalarMappable(Normalize(LEAST, MOST), COLOURS), axes, orientation="horizontal", extend="both")
    bar.set_ticks([math.log2(share) for share in SHARES], labels=list(SHARES.values()))
    bar.outline.set_linewidth(0.5)
    axes.tick_params(length=2, pad=1.5)
    dots = any(group.dense for plan in plans for group in plan.groups)
    what = f"parameters kept{' (dot: stored dense)' if dots else ' of a matrix'}, {percent(plans[0].ratio)} removed overall"
    axes.set_title(what, pad=3)
