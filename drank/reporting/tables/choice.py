"""An option picked on validation text against one picked on the test text that is reported: how much too low the latter's number is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import number, unique
from drank.reporting.over_draws import any_drawn
from drank.reporting.tables.artefact import table_of, varying
from drank.reporting.tables.axes import HEADS, plain, printed
from drank.reporting.tables.layout import Cell, Column, Table
from drank.variants import written

SUFFIX = ".validation"
"""What a data set of validation text is called by after the name of its corpus."""


@dataclass(frozen=True)
class Choice:
    """The perplexities of one method at one ratio by the value of an option, on validation text and on test text."""

    place: dict[str, Any]
    test: str
    on_validation: dict[Any, float]
    on_test: dict[Any, float]

    @property
    def by_validation(self) -> Any:
        """The value with the lowest perplexity on validation text, the first of several."""
        return min(self.on_validation, key=self.on_validation.__getitem__)

    @property
    def by_test(self) -> Any:
        """The value with the lowest perplexity on test text, the first of several."""
        return min(self.on_test, key=self.on_test.__getitem__)

    @property
    def ends(self) -> tuple[float, float]:
        """The test perplexity of the value that validation text chose, and of the one that test text chose: never higher."""
        return self.on_test[self.by_validation], self.on_test[self.by_test]


def choice(material: Material) -> Table:
    """The table of the options `validation` (a data set), `on` (test data sets, its corpus) and `axis` (beta).

    A row for each model, method, ratio and test data set: both choices, their test perplexities, and how much lower that of the choice on
    test text is. Raises ValueError where runs with other values were not measured on both texts.
    """
    axis = material.options.get("axis", "beta")
    heads = ["model", "method", "ratio", *(other for other in material.axes if other != axis)]
    found = list(_choices(material, axis, heads))
    told = [head for head in heads if head == "method" or head in varying(material, heads)]
    several = len({one.test for one in found}) > 1
    symbol = printed(axis, "").strip(" =")
    columns = [Column(HEADS.get(head, ""), align="l") for head in told] + [Column("Data set", align="l")] * several
    columns += [Column("validation", f"{symbol} chosen on"), Column("test", f"{symbol} chosen on")]
    columns += [Column("validation", "Test perplexity, chosen on", "low"), Column("test", "Test perplexity, chosen on", "low")]
    columns += [Column("perplexity", "Too low by"), Column("nats", "Too low by")]
    rows = []
    for one in found:
        honest, tuned = one.ends
        before = [Cell(printed(head, one.place[head])) for head in told] + [Cell(one.test)] * several
        cells = [written(one.by_validation), written(one.by_test), number(honest), number(tuned)]
        rows.append([*before, *map(Cell, [*cells, number(honest - tuned, 3), number(math.log(honest / tuned), 4)])])
    caption = (
        f"{symbol} chosen on validation text ({material.options['validation']}) and on the test text itself, and what each choice comes "
    )
    caption += "to on test text. A number that was tuned on the test text is too low by the difference."
    caption += " Over several draws of the calibration text a perplexity is their mean." if any_drawn(material.numbers) else ""
    if not found:
        caption = f"Nothing to show of {', '.join(material.models)}: no method was measured with two values of {axis} on both texts."
    return table_of(material, caption, columns, [rows], pd.DataFrame([_numbers(one, axis) for one in found]))


def _choices(material: Material, axis: str, heads: list[str]) -> Iterator[Choice]:
    """The contests in which there is a choice."""
    validation = material.options["validation"]
    tests = list(material.options.get("on", [validation.removesuffix(SUFFIX)]))
    numbers = material.over_draws().numbers
    rows = numbers[numbers["metric"] == "perplexity"]
    missing = [name for name in (validation, *tests) if name not in set(rows["dataset"])]
    if missing or validation in tests or axis not in material.axes:
        there = f"measured are {', '.join(unique(rows['dataset'])) or 'none'}, on the axes {', '.join(material.axes) or 'none'}"
        needs = f"perplexity on {validation} and on another text, of runs on the axis {axis}"
        raise ValueError(f"{material.name}: comparing choices needs {needs}, but {there}; correct validation, on or axis")
    for values, contest in rows[rows[axis].notna()].groupby(heads, sort=False, dropna=False):
        place = {head: plain(value) for head, value in zip(heads, values, strict=True)}
        for test in tests:
            one, two = _by_value(contest, validation, axis), _by_value(contest, test, axis)
            if one.keys() != two.keys():
                only = ", ".join(written(value) for value in one.keys() ^ two.keys())
                where = ", ".join(printed(head, value) for head, value in place.items() if value is not None)
                told = f"{axis} {only} was measured on {validation} alone or on {test} alone; measure it on both"
                raise ValueError(f"{material.name}: {where}: {told}")
            if len(one) > 1:
                yield Choice(place, test, one, two)


def _by_value(contest: pd.DataFrame, dataset: str, axis: str) -> dict[Any, float]:
    rows = contest[contest["dataset"] == dataset].sort_values(axis, kind="stable")
    return {plain(value): float(perplexity) for value, perplexity in zip(rows[axis], rows["value"], strict=True)}


def _numbers(one: Choice, axis: str) -> dict[str, Any]:
    """The numbers of a row."""
    honest, tuned = one.ends
    chosen = {f"{axis}_by_validation": one.by_validation, f"{axis}_by_test": one.by_test}
    validated = {"validation_perplexity": one.on_validation[one.by_validation]}
    return one.place | {"dataset": one.test} | chosen | validated | {"perplexity_by_validation": honest, "perplexity_by_test": tuned}
