"""The tables of one model of a summary."""

from __future__ import annotations

from drank.reporting.layouts import LAYOUTS
from drank.reporting.material import Material


def _table(layout, name):
    make = LAYOUTS[layout].load()

    def table(summary, model, published=None):
        material = Material(name, summary.assign(label=summary["method"]), published=published)
        return make(material.of(model))

    return table


TABLES = {"main": _table("quality", "main"), "paired": _table("paired", "paired"), "throughput": _table("throughput", "throughput")}
main_table, paired_table, throughput_table = TABLES.values()
answers_table = _table("answers", "answers")
