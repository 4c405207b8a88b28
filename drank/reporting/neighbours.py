"""What ran models while they were timed, and what else their machine did, as a caption says it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from drank.evaluation.rates import BY_VLLM
from drank.reporting.names import listed, number, percent

IN_VLLM = " in vLLM"
"""Said behind a speed, where vLLM ran the model."""


def where(numbers: pd.DataFrame) -> str:
    """Where the models ran that were timed, with a space before it; nothing where transformers ran them, or none was timed."""
    return IN_VLLM if (numbers["metric"] == BY_VLLM).any() else ""


def neighbours(summary: pd.DataFrame, model: str) -> str:
    """Sentences on the other work beside a model's timings, of the worst of its jobs; empty where the system did not say."""
    rows = summary[(summary["model"] == model) & (summary["dataset"] == "machine")]
    return " ".join(_sentences(rows))


def _sentences(rows: pd.DataFrame) -> Iterator[str]:
    jobs = rows.pivot_table(index="ratio", columns="metric", values="value", aggfunc="max")
    if {"threads", "threads_asked"} <= set(jobs) and len(fewer := jobs[jobs["threads"] < jobs["threads_asked"]]):
        where = "" if len(fewer) == len(jobs) else f" at {listed([percent(ratio) for ratio in fewer.index])}"
        asked = f"{fewer['threads_asked'].max():.0f}"
        yield (
            f"Other work kept cores busy that {asked} threads needed, so that all models{where} were timed with one: two spinning threads "
            "beside one busy neighbour make low rank look twice slower than dense."
        )
    if (rows.loc[rows["metric"] == "in_turn", "value"] == 0).any():
        yield (
            "Memory did not hold all models at once, so that they were timed one after the other: what compares them is the ratio of their "
            "medians, and may be the machine's doing."
        )
    if "other_load" in jobs:
        crowded = jobs["crowded_rounds"].max() if "crowded_rounds" in jobs else 0.0
        share = f", in {percent(round(crowded, 2))} of the rounds where a timing needed them" if crowded > 0 else ""
        yield f"Other work kept up to {number(jobs['other_load'].max(), 2)} cores busy meanwhile{share}."
