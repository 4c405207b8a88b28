"""Grids: the runs that an artefact asks for, as all combinations of models, methods, ratios and values on any axis.

An axis is an option of a method, or one of the text that it is calibrated on (`drank.variants.CALIBRATION_AXES`). A run that several grids
ask for, or that a method of the configuration is already, is one run under one label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from drank.config.method_entries import method_of
from drank.config.resolved import calibration_options, entries_for, methods_for, ratios_of, refusals_for, shape_of
from drank.methods import Method
from drank.variants import CALIBRATION_AXES, variant

PLACES = ("model", "method", "ratio")
"""The axes that every run stands on."""

APART = ("base", "checkpoint", "calibration", "plan")
"""Options of a method that are no axes."""


def with_artefacts(schema: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of configurations with that of artefacts, a grid of which has an axis for every option of a method."""
    schema["properties"] |= extra["properties"]
    schema["$defs"] |= extra["$defs"]
    options = {name: part for name, part in schema["$defs"]["method"]["properties"].items() if name not in APART}
    grid = schema["$defs"]["grid"]
    grid["properties"] |= {name: _one_or_more(part) for name, part in options.items()}
    schema["$defs"]["grids"] = {**grid, "type": ["object", "array"], "minItems": 1, "items": {"$ref": "#/$defs/grid"}}
    return schema


def _one_or_more(part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value, or of a list of such values."""
    kinds = [part["type"]] if isinstance(part["type"], str) else list(part["type"])
    return {**part, "type": [*kinds, "array"], "items": dict(part), "minItems": 1}


def listed(value: Any) -> list[Any]:
    """A value as a list, which it may be."""
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class Point:
    """One run as an artefact asks for it: `label` is the method as files have it, `axes` the values `asked` for that it stands on."""

    model: str
    method: str
    label: str
    ratio: float
    axes: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cell(self) -> tuple[str, str, str]:
        """Model, label and ratio as they stand in paths."""
        return self.model, self.label, f"{self.ratio:g}"


class _RefusedError(ValueError):
    """A method with values of a grid that cannot apply to one model."""


class Grids:
    """The runs of a configuration: `methods` by model and label, which grow by the variants that grids ask for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Nothing but the methods that the configuration names."""
        self.config = config
        self.methods: dict[str, dict[str, Method]] = {model: methods_for(config, model) for model in config["models"]}
        self._refused = {model: refusals_for(config, model) for model in config["models"]}

    def points(self, grid: Mapping[str, Any]) -> list[Point]:
        """The runs of one grid, without methods that do not apply to a model; raises ValueError with all that cannot be on any."""
        models, methods = (listed(grid.get(name) or list(self.config[f"{name}s"])) for name in ("model", "method"))
        axes = {axis: listed(values) for axis, values in grid.items() if axis not in PLACES}
        problems: list[str] = []
        found: list[Point] = []
        refused: dict[tuple[Any, ...], str] = {}
        for model, method in product(models, methods):
            for values in product(*axes.values()):
                try:
                    found += self._points(model, method, dict(zip(axes, values, strict=True)), grid.get("ratio"))
                except _RefusedError as error:
                    refused[method, values] = str(error)
                except ValueError as error:
                    problems.append(str(error))
        made = {(point.method, tuple(point.asked.values())) for point in found}
        problems += [reason for asked, reason in refused.items() if asked not in made]
        if problems:
            raise ValueError("; ".join(dict.fromkeys(problems)))
        return found

    def _points(self, model: str, label: str, values: Mapping[str, Any], ratio: Any) -> Iterator[Point]:
        """A method of one model with these values, at each ratio; nothing where it does not apply to the model as it is with them."""
        entries = entries_for(self.config, model)
        if label not in entries:
            return
        plain = method_of(label, entries[label])
        changed, method = self._varied(label, entries[label], plain, values)
        if label in self._refused[model] and not changed:
            return
        if (shape := shape_of(self.config, model)) and (reason := method.refusal(*shape)):
            raise _RefusedError(f"{model}: {variant(label, changed)}: {reason}")
        asked = [0] if not plain.budgeted else listed(ratio) if ratio is not None else ratios_of(self.config, plain)
        if long := [value for value in (*asked, *changed.values()) if isinstance(value, float) and float(f"{value:g}") != value]:
            raise ValueError(f"{', '.join(map(str, long))}: more than six digits, and files are named by six")
        for one in asked:
            name = self._label(model, label, changed, method, float(one))
            mine = {axis: value for axis, value in values.items() if _stands_on(axis, method, float(one))}
            yield Point(model, label, name, float(one), mine, values)

    def _varied(self, label: str, entry: Mapping[str, Any], plain: Method, values: Mapping[str, Any]) -> tuple[dict[str, Any], Method]:
        """What of these values is other than the method has it, by axis, and the method with it; dense and checkpoints stand on no axis."""
        if not plain.compresses:
            return {}, plain
        text = calibration_options(self.config, plain.calibration)
        mine = {axis: text.get(key) for axis, key in CALIBRATION_AXES.items()}
        changed = {axis: value for axis, value in values.items() if value != (mine[axis] if axis in mine else getattr(plain, axis))}
        options = {axis: value for axis, value in changed.items() if axis not in CALIBRATION_AXES}
        calibration = {CALIBRATION_AXES[axis]: value for axis, value in changed.items() if axis in CALIBRATION_AXES}
        told = {"calibration": {**(plain.calibration or {}), **calibration}} if calibration else {}
        return changed, method_of(label, {**entry, **options, **told})

    def _label(self, model: str, label: str, changed: Mapping[str, Any], method: Method, ratio: float) -> str:
        """The label under which this run goes: that of the first one that is the same at this ratio."""
        if not changed:
            return label
        own = variant(label, {axis: changed[axis] for axis in in_order(changed)})
        alike = _at(method, ratio)
        found = next((name for name, one in self.methods[model].items() if _at(one, ratio) == alike), own)
        self.methods[model].setdefault(found, method)
        return found


def _stands_on(axis: str, method: Method, ratio: float) -> bool:
    """Whether a run of a method is another with another value on an axis: of one that reads no text not by which text it is."""
    return method.compresses and (axis not in CALIBRATION_AXES or method.at(ratio).reads_text)


def in_order(changed: Mapping[str, Any]) -> list[str]:
    """Axes in the order in which labels have them: options as the method's, then those of the calibration."""
    order = [*Method.__dataclass_fields__, *CALIBRATION_AXES]
    return sorted(changed, key=order.index)


def _at(method: Method, ratio: float) -> str:
    """All that decides the model a method makes at a ratio; a text that nothing reads is no part of it."""
    works = method.at(ratio)
    settings = {key: value for key, value in asdict(works).items() if key not in ("title", "paper", "control")}
    if not works.reads_text:
        settings["calibration"] = None
    return json.dumps(settings, sort_keys=True)
