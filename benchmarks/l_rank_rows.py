"""What the benchmark of L-Rank compares: every row is a method with some of its options changed, and has a name for `--rows`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from drank.methods import METHODS, Method


@dataclass(frozen=True)
class Row:
    """A method under a short name, and how a table prints it."""

    name: str
    text: str
    method: Method


L_RANK = METHODS["l-rank"]
PLAIN = replace(L_RANK, title="L-Rank, plain", refit_from=None, corrections=0)
INPUT = replace(METHODS["optimal"], scope="model")
D_RANK = replace(METHODS["d-rank"], title="D-Rank, n = 1", group=1)
COMPENSATED: dict[str, Any] = {"refit_from": 0.0, "refit": "compensated", "corrections": 0}
CORRECTED: dict[str, Any] = {**COMPENSATED, "corrections": L_RANK.corrections}

FULL, FIRST = "l-rank", "plain"
"""The whole method, to which all others are compared, and the row that the third block of the ablation varies."""

ABLATION: tuple[tuple[Row, ...], ...] = (
    (
        Row("svd-llm", "SVD-LLM", METHODS["svd-llm"]),
        Row("d-rank-n1", "D-Rank, n = 1", D_RANK),
        Row("io-svd", "IO-SVD", METHODS["io-svd"]),
    ),
    (
        Row("input", "input side, one budget for the model", INPUT),
        Row("scalar", "the same in units of the loss, + dense option", METHODS["l-rank-scalar"]),
        Row("output", "both sides, one budget for the model", replace(PLAIN, dense_past_break_even=False)),
        Row(FIRST, "+ dense option (plain)", PLAIN),
    ),
    (
        Row("text", "plain, labels of the text", replace(PLAIN, labels="text")),
        Row("per-type", "plain, a budget for each type", replace(PLAIN, scope="type")),
        *(Row(f"damping-{value:g}", f"plain, damping {value:g}", replace(PLAIN, damping=value)) for value in (0.001, 0.01, 1.0)),
        *(Row(f"steps-{count}", f"plain, {count} steps", replace(PLAIN, steps=count)) for count in (2, 4)),
    ),
    tuple(
        Row(f"compensated-{share:g}", f"plain + refit, a = {share:g}", replace(PLAIN, **COMPENSATED, compensation=share))
        for share in (0.0, 0.5, 1.0)
    ),
    (
        Row("corrected-1", f"plain + refit, a = {L_RANK.compensation:g}, 1 correction", replace(L_RANK, corrections=1)),
        Row("corrected-2", "the same, 2 corrections", replace(L_RANK, corrections=2)),
        Row(FULL, f"the same, {L_RANK.corrections} corrections (L-Rank)", L_RANK),
    ),
    (
        Row("d-rank-compensated", "D-Rank, n = 1, compensated refit", replace(D_RANK, **COMPENSATED)),
        Row("d-rank-corrected", "D-Rank, n = 1, refit and corrections", replace(D_RANK, **CORRECTED)),
        Row("io-svd-compensated", "IO-SVD, compensated refit", replace(METHODS["io-svd"], **COMPENSATED)),
        Row("io-svd-corrected", "IO-SVD, refit and corrections", replace(METHODS["io-svd"], **CORRECTED)),
    ),
)
"""The rows of the ablation, a rule between the blocks. Plain has sampled labels, damping 0.1, one step and no refit."""

ROWS = {row.name: row for block in ABLATION for row in block}
"""The rows by name."""

OVER_WINDOWS = (FIRST, FULL)
"""The rows that are measured at every size of the calibration text."""

OVER_CORPORA = ("svd-llm", "d-rank-n1", FIRST, FULL)
"""The rows that are calibrated on every corpus."""
