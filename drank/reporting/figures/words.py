"""Sentences of captions: what is shown of what, on which axis, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from drank.reporting.figures.method_order import compressed
from drank.reporting.figures.scales import Scale
from drank.reporting.material import Material
from drank.reporting.names import is_dense, method_name, unique


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def sentences(*parts: str) -> str:
    """The parts that say something, in one line."""
    return " ".join(part for part in parts if part)


def of_models(models: Sequence[str]) -> str:
    """` of a and b`; nothing where there is no model."""
    return f" of {listed(models)}" if models else ""


def axis_words(scales: Iterable[Scale], axis: str) -> str:
    """What is to be known of an axis that is not linear; some panels may differ from others."""
    found = unique(scales)
    where = "" if len(found) == 1 else "In some panels "
    if "folded" in found:
        start = f"{where}the" if where else "The"
        return f"{start} {axis} is logarithmic, and compressed where it is shaded, so that values far from the others stand on it too."
    if "logarithmic" in found:
        return f"{where}the {axis} is logarithmic." if where else f"The {axis} is logarithmic."
    return ""


def over_draws(rows: pd.DataFrame, bars: bool = True) -> str:
    """What stands for runs with several draws of the calibration text, where there are any; with the `bars` of a figure that has some."""
    if "draws" not in rows or not rows["draws"].notna().any():
        return ""
    spans = ", their bars span one standard deviation either way" if bars else ""
    return f"Runs with several draws of the calibration text stand at the mean over them{spans}."


def left_out(material: Material, drawn: pd.DataFrame) -> str:
    """Which methods of the material are not among the compressed ones drawn, and why; then what its notes say of the models drawn."""
    summary = material.summary
    shown = set(compressed(drawn)["method"])
    gone = [label for label in unique(summary["method"]) if label not in shown and not is_dense(label)]
    theirs = set(summary.loc[summary["checkpoint"] != "", "method"])
    removing = set(summary.loc[summary["ratio"] > 0, "method"])
    reasons: dict[str, list[str]] = {}
    for label in gone:
        if label in theirs:
            reason = "as somebody else's checkpoint at no ratio of the run"
        elif label in removing:
            reason = "not measured"
        else:
            reason = "as it removes nothing"
        reasons.setdefault(reason, []).append(method_name(label))
    told = [f"{reason}: {listed(names)}" for reason, names in reasons.items()]
    notes = [note for model, note in material.notes.items() if model in set(drawn["model"])]
    return sentences(f"Left out, {'; '.join(told)}." if told else "", *unique(notes))
