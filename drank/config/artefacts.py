"""The artefacts of a run, the runs that they ask for, and what has to be measured of each.

Everything that a run computes follows from here. Without a section `artefacts` they are those of `USUAL` that the configuration has
something for, on all models, methods and ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drank.config.artefact import Artefact
from drank.config.clashes import clashes
from drank.config.contrasts import contrast_problems
from drank.config.draws import Cell, drawn
from drank.config.emptiness import emptiness
from drank.config.grids import Grids, Point, listed
from drank.config.measurable import kinds_of, measurable, split_of
from drank.config.resolved import calibration_options
from drank.methods import Method
from drank.reporting.layouts import KINDS, LAYOUTS
from drank.variants import CALIBRATION_AXES

USUAL: dict[str, dict[str, Any]] = {
    "main": {"layout": "quality"},
    "paired": {"layout": "paired"},
    "timings": {"layout": "throughput"},
    "effective_rank": {"layout": "effective_rank_by_layer"},
    "ranks": {"layout": "ranks_by_layer"},
    "perplexity": {"layout": "perplexity_by_ratio"},
    "accuracy": {"layout": "accuracy_by_ratio"},
    "speed": {"layout": "throughput_by_ratio"},
}
"""What is printed where a configuration does not say."""

RUNS = ("runs", "layout")


class Runs:
    """What a configuration comes to: its `artefacts` by name, their `methods` by model and label, what is `wanted` of each, its `draws`.

    Where nothing is to be measured or printed the runs are all models that the configuration makes.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError with a line for everything that no artefact can be."""
        self.grids, self.artefacts = Grids(config), dict[str, Artefact]()
        self.wanted: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        problems: list[str] = []
        given, usual = config["artefacts"], USUAL if any(measurable(config).values()) else {}
        for name, entry in (given or usual).items():
            try:
                artefact = self._artefact(config, name, entry)
                faults = [*emptiness(config, artefact, self.methods), *contrast_problems(artefact), *clashes(config, artefact)]
            except ValueError as error:
                faults = [str(error)]
            if not faults:
                self.artefacts[name] = artefact
            problems += [f"artefacts.{name}: {fault}" for fault in faults if given]
        if problems:
            raise ValueError("\n".join(problems))
        for artefact in self.artefacts.values():
            self._want(config, artefact)
        self.draws: dict[Cell, list[Cell]] = drawn(config, self.grids.methods, self.wanted)
        if not self.artefacts:
            self.wanted = {point.cell: {kind: [] for kind in KINDS} for point in self.grids.points({})}

    @property
    def methods(self) -> dict[str, dict[str, Method]]:
        """The methods of each model by label, variants among them."""
        return self.grids.methods

    def cells(self, model: str, *kinds: str) -> list[tuple[str, str]]:
        """Label and ratio of the runs of a model of which any of these kinds is measured, or of all, in the order of its methods."""
        found = [cell for cell, mine in self.wanted.items() if cell[0] == model and (not kinds or any(mine[kind] for kind in kinds))]
        order = list(self.methods[model])
        return [cell[1:] for cell in sorted(found, key=lambda cell: (order.index(cell[1]), float(cell[2])))]

    def as_asked(self, config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        """The configuration as a job with these wildcards reads it: its own calibration, and what is measured of its own run."""
        known = self.methods.get(names.get("model", ""), {})
        mine = self.wanted.get((names.get("model", ""), names.get("method", ""), names.get("ratio", "")))
        alike = (method for method in known.values() if method.calibrated == names.get("calibrated"))
        method = known.get(names.get("method", "")) or next(alike, None)
        told = dict(config)
        if method and method.calibration:
            told["calibration"] = {**config["calibration"], **method.calibration}
        if mine:
            told["perplexity"] = {**config["perplexity"], "corpora": mine["perplexity"]}
            told["zeroshot"] = {**config["zeroshot"], "tasks": mine["zeroshot"]}
        return told

    def _artefact(self, config: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Artefact:
        grids = listed(entry.get("runs", {}))
        points = {(point.cell, point.method, *point.axes.values()): point for grid in grids for point in self.grids.points(grid)}
        points = {key: replace(point, axes=self._completed(config, point, grids)) for key, point in points.items()}
        axes = tuple(dict.fromkeys(axis for grid in grids for axis in grid if axis not in ("model", "method", "ratio")))
        options = {key: value for key, value in entry.items() if key not in RUNS}
        layout, known = LAYOUTS[entry["layout"]], measurable(config)
        options |= {"metric": options.get("metric", "perplexity")} if "metric" in layout.options else {}
        options |= {key: listed(options[key]) for key in ("on", "rows", "columns", "kinds") if key in options}
        if validation := options.get("validation"):
            options.setdefault("on", [split_of(config, validation)[0]])
        named = [*options.get("on", ()), *listed(options.get("validation", ()))]
        shown = list(dict.fromkeys(named or [name for names in known.values() for name in names]))
        return Artefact(name, entry["layout"], tuple(points.values()), axes, options, shown)

    def _completed(self, config: Mapping[str, Any], point: Point, grids: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The values of a run, with those of the calibration that another grid of the artefact names and its own does not."""
        method = self.methods[point.model][point.label]
        text = calibration_options(config, method.calibration) if method.at(point.ratio).reads_text else {}
        named = [axis for axis in CALIBRATION_AXES if any(axis in grid for grid in grids)]
        return {**{axis: text[CALIBRATION_AXES[axis]] for axis in named if text}, **point.axes}

    def _want(self, config: Mapping[str, Any], artefact: Artefact) -> None:
        """Enter what an artefact shows into what is wanted of its runs."""
        known = measurable(config)
        for point in artefact.points:
            mine = self.wanted.setdefault(point.cell, {kind: [] for kind in KINDS})
            for kind in artefact.kinds:
                mine[kind] += [name for name in artefact.shown if kind in kinds_of(config, name) and name not in mine[kind]]
        for mine in self.wanted.values():  # in the order of the configuration, texts of other splits last
            for kind, names in mine.items():
                mine[kind] = [*(name for name in known[kind] if name in names), *sorted(set(names) - set(known[kind]))]
