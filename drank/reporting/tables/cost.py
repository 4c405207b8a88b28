"""What compressing costs, in time and memory, beside the quality that it buys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from drank.reporting.comparisons import baselines
from drank.reporting.material import Material
from drank.reporting.names import BASELINE, baseline_of, competes, method_name, number, percent, unique
from drank.reporting.over_draws import any_drawn, shown
from drank.reporting.tables.artefact import table_of, wanted
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.quantities import signed
from drank.reporting.tables.window_losses import Run

GAP = "log_perplexity_gap_to_dense"

QUALITY = {
    "nats over dense": ("Nats over dense", "low", "nats per token over dense"),
    "nats gained": (f"Nats gained over {method_name(BASELINE)}", "high", f"nats gained over {method_name(BASELINE)} at the same ratio"),
}
"""What quality is told in: its header, where it is better, and how a caption calls it."""

LAST = "the last step, which makes a model"


def cost(material: Material) -> Table:
    """A row for each competing model: seconds, peak memory, nats per token over dense, and nats gained over SVD-LLM at its ratio.

    The options `seconds` and `memory` (bytes) say what all steps on the way to a run took, by `model/label/ratio`; without them stands
    what its last step took, as its numbers and records tell it. Raises ValueError where such an option lacks a run.
    """
    datasets = wanted(material, "perplexity")
    numbers = material.numbers[(material.numbers["checkpoint"] == "") & material.numbers["label"].map(competes).astype(bool)]
    runs = [Run(str(model), str(label), float(ratio)) for model, label, ratio in zip(*(numbers[name] for name in Run._fields), strict=True)]
    order = {model: place for place, model in enumerate(material.models)}
    rows = [_costs(material, run, datasets) for run in sorted(dict.fromkeys(runs), key=lambda run: (order[run.model], run.ratio))]
    models = unique(row["model"] for row in rows)
    columns = [Column("Model", align="l")] * (len(models) > 1) + [Column("Ratio", align="l"), Column("Method", align="l")]
    columns += [Column("Seconds", better="low"), Column("Peak memory (MiB)", better="low")]
    kinds = [kind for kind in QUALITY if not all(math.isnan(row[f"{kind} {name}"]) for row in rows for name in datasets)]
    columns += [Column(name, *QUALITY[kind][:2]) for kind in kinds for name in datasets]
    blocks = []
    for (model, ratio), block in groupby(rows, key=lambda row: (row["model"], row["ratio"])):
        heads = [model] * (len(models) > 1) + [percent(ratio)]
        blocks.append(
            [(*(Cell("" if index else head) for head in heads), *_cells(row, kinds, datasets)) for index, row in enumerate(block)]
        )
    caption = f"{_of(material)}{', beside ' * bool(kinds)}{' and '.join(QUALITY[kind][2] for kind in kinds)}."
    if "memory" not in material.options and not all(str(device).startswith("cpu") for device in numbers["device"]):
        caption += " Memory is that of the host, not of the GPU."
    if any_drawn(material.numbers):
        nats = ", nats of the mean perplexity" * bool(kinds)
        caption += f" Of several draws of the calibration text time and memory are those of the first{nats}."
    return table_of(material, caption, columns, blocks, pd.DataFrame(rows))


def _of(material: Material) -> str:
    """Of which steps time and memory are."""
    time, memory = ("all steps on the way to a model" if option in material.options else LAST for option in ("seconds", "memory"))
    return f"Time and peak memory of {time}" if time == memory else f"Time of {time}, and peak memory of {memory}"


def _costs(material: Material, run: Run, datasets: list[str]) -> dict[str, Any]:
    """The numbers of a run; NaN for what was not measured."""
    at = material.numbers[(material.numbers["model"] == run.model) & (material.numbers["ratio"] == run.ratio)]
    mine = at[at["label"] == run.label]
    making = next((one.provenance["making"] for one in material.records if (one.model, one.method, one.ratio) == run), None) or {}
    told: dict[str, Any] = {
        "seconds": _stated(material, "seconds", run, mine["compress_seconds"].iloc[0]),
        "memory_bytes": _stated(material, "memory", run, making.get("peak_memory_bytes", math.nan)),
    }
    itself, rivals = run.label if run.label == baseline_of(run.label) else "", baselines(mine)
    for name in datasets:
        rival = rivals.get((*run, name), itself)
        own, other = (_number(rows, name, "perplexity", shown) for rows in (mine, at[at["label"] == rival]))
        # the gap is that of the first draw, and the dense model's perplexity is not in every artefact
        told[f"nats over dense {name}"] = _number(mine, name, GAP) + math.log(own / _number(mine, name, "perplexity"))
        told[f"nats gained {name}"] = math.log(other / own)
    return run._asdict() | told


def _stated(material: Material, option: str, run: Run, measured: float) -> float:
    """What an option says of a run; what was measured where there is no such option."""
    stated: Mapping[str, float] | None = material.options.get(option)
    key = f"{run.model}/{run.label}/{run.ratio:g}"
    if stated is None:
        return float(measured)
    if key not in stated:
        raise ValueError(f"{material.name}: option {option} lacks {key}; it has {', '.join(stated) or 'nothing'}. State every run, or none")
    return float(stated[key])


def _number(rows: pd.DataFrame, dataset: str, metric: str, told: Callable[[Mapping[Any, Any]], float] = itemgetter("value")) -> float:
    """One number of a run as its row tells it, NaN where it was not measured."""
    found = rows[(rows["dataset"] == dataset) & (rows["metric"] == metric)].to_dict("records")
    return told(found[0]) if found else math.nan


def _cells(row: Mapping[str, Any], kinds: list[str], datasets: list[str]) -> list[Cell]:
    """The cells of a run after its ratio, its quality told in these kinds."""
    values = [number(row["seconds"], 1), number(row["memory_bytes"] / 2**20, 0)]
    values += [signed(row[f"{kind} {name}"], 3) for kind in kinds for name in datasets]
    return [Cell(method_name(row["label"])), *(MISSING if "nan" in value else Cell(value) for value in values)]
