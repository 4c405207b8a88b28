"""An artefact of a run as its configuration has it: what it is of, what has to be measured for it, and what its script is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drank.config.grids import Point
from drank.reporting.layouts import LAYOUTS, METRICS, Layout


@dataclass(frozen=True)
class Artefact:
    """A table or figure of a run: its layout, its runs, the axes that they stand on, and its other options."""

    name: str
    layout_name: str
    points: tuple[Point, ...]
    axes: tuple[str, ...]
    options: Mapping[str, Any]
    shown: Sequence[str] = ()

    @property
    def layout(self) -> Layout:
        """How it is laid out."""
        return LAYOUTS[self.layout_name]

    @property
    def files(self) -> list[str]:
        """The files that it consists of, of a run's folder."""
        return self.layout.files(self.name, self.models)

    @property
    def picture(self) -> str | None:
        """The picture that shows all of it, of a figure."""
        return next((file for file in self.files if file.endswith(".png")), None)

    @property
    def models(self) -> list[str]:
        """The models of its runs."""
        return list(dict.fromkeys(point.model for point in self.points))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What has to be measured for it."""
        return (METRICS[self.options["metric"]],) if "metric" in self.layout.options else self.layout.measures

    @property
    def compressed(self) -> list[Point]:
        """Its runs that have ranks."""
        return [point for point in self.points if point.ratio > 0]

    def rows(self) -> list[dict[str, Any]]:
        """Its runs as a material has them: the places, the label, and a value or None for each axis."""
        return [
            {"model": point.model, "method": point.method, "label": point.label, "ratio": point.ratio}
            | {axis: point.axes.get(axis) for axis in self.axes}
            for point in self.points
        ]

    def told(self) -> dict[str, Any]:
        """What the script that prints it is told of it, but for notes on its models and the times of steps."""
        told = {"name": self.name, "layout": self.layout_name, "rows": self.rows(), "axes": list(self.axes)}
        return told | {"options": dict(self.options), "shown": list(self.shown)}
