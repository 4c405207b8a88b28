"""How much hangs on the calibration text: effective ranks, plans and perplexities by text, and against those of a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from drank.allocation.plan import Plan
from drank.reporting.figures.method_order import compressed
from drank.reporting.figures.ranks import in_order
from drank.reporting.material import Material
from drank.reporting.names import competes, method_name, unique
from drank.variants import CALIBRATION_AXES, base_of, without


class Text(NamedTuple):
    """The text of a calibration."""

    corpus: str
    seed: int
    windows: int

    @classmethod
    def of(cls, calibration: Mapping[str, Any]) -> Text | None:
        """The text that a spectrum or plan was made on; None for one that read none."""
        return cls(*(calibration[name] for name in cls._fields)) if all(name in calibration for name in cls._fields) else None


class Line(NamedTuple):
    """What one line of a panel shows: by text its value and the ends of its bar."""

    name: str
    values: dict[Text, tuple[float, float, float]]


def texts_of(material: Material) -> list[Text]:
    """The texts of all spectra and plans, each once, in their order."""
    parts = [*(spectrum.get("calibration", {}) for spectrum in material.spectra), *(plan.calibration for plan in material.plans)]
    return list(dict.fromkeys(text for part in parts if (text := Text.of(part))))


def ordered_by(texts: Sequence[Text], reference: Text) -> list[Text]:
    """By windows those of the reference's corpus and draw, then other draws, then other corpora."""

    def place(text: Text) -> tuple[bool, bool, int]:
        return text.corpus != reference.corpus, text.seed != reference.seed, text.windows

    return sorted(texts, key=place)


def changes(material: Material, reference: Text) -> list[Line]:
    """By spectrum the median over the groups of how far the effective rank lies from the reference's, in percent, and the middle 80 %."""
    found: dict[str, dict[Text, dict[str, float]]] = {}
    for spectrum in material.spectra:
        if text := Text.of(spectrum.get("calibration", {})):
            found.setdefault(base_of(spectrum["spectrum"]), {})[text] = {
                group["group"]: group["effective_rank"] for group in spectrum["groups"]
            }
    lines = []
    for name, ranks in found.items():
        if reference in ranks and len(ranks) > 1:
            base = ranks[reference]
            differing = {text: [100 * abs(rank / base[group] - 1) for group, rank in of.items()] for text, of in ranks.items()}
            lines.append(Line(name, {text: _middle(values) for text, values in differing.items() if text != reference}))
    return lines


def _middle(values: Sequence[float]) -> tuple[float, float, float]:
    median, low, high = np.quantile(values, [0.5, 0.1, 0.9])
    return float(median), float(low), float(high)


def moves(material: Material, reference: Text, ratio: float) -> list[Line]:
    """By method the parameters that stand in another group than under the reference, in percent of all that are kept."""
    found: dict[str, dict[Text, Plan]] = {}
    for plan in in_order(material.plans, material):
        if plan.ratio == ratio and competes(plan.method) and (text := Text.of(plan.calibration)):
            found.setdefault(without(plan.method, *CALIBRATION_AXES), {})[text] = plan
    return [
        Line(
            method_name(name), {text: (_moved(plan, plans[reference]), np.nan, np.nan) for text, plan in plans.items() if text != reference}
        )
        for name, plans in found.items()
        if reference in plans and len(plans) > 1
    ]


def _moved(plan: Plan, reference: Plan) -> float:
    before = {group.shape.name: group.parameters for group in reference.groups}
    return 50 * sum(abs(group.parameters - before[group.shape.name]) for group in plan.groups) / reference.parameters


def perplexities(material: Material, ratio: float) -> tuple[pd.DataFrame, str]:
    """The perplexities at the ratio on the first corpus, and its name, empty where there are none."""
    summary = material.summary.drop_duplicates()
    rows = summary[summary["metric"] == "perplexity"]
    measured = unique(rows["dataset"])
    dataset = measured[0] if measured else ""
    rows = compressed(rows[rows["dataset"] == dataset])
    return rows[rows["ratio"] == ratio], dataset


def values(material: Material, rows: pd.DataFrame) -> list[Line]:
    """By method the perplexity and its interval."""
    texts = {plan.method: text for plan in material.plans if (text := Text.of(plan.calibration))}
    lines: dict[str, dict[Text, tuple[float, float, float]]] = {}
    for row in rows.itertuples():
        if row.method in texts and competes(row.method):
            lines.setdefault(without(row.method, *CALIBRATION_AXES), {})[texts[row.method]] = (row.value, row.ci_low, row.ci_high)
    return [Line(method_name(name), values) for name, values in lines.items() if len(values) > 1]
