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
D_RANK = replace(METHODS["d-rank"], title="D-Rank, n = 1", group=1)
COMPENSATED: dict[str, Any] = {"refit_from": 0.0, "refit": "compensated", "corrections": 0, "storage": "pivoted"}
ANCHORED: dict[str, Any] = {**COMPENSATED, "refit": "anchored"}
CORRECTED: dict[str, Any] = {**COMPENSATED, "corrections": L_RANK.corrections}

FULL, FIRST = "l-rank", "plain"
"""The whole method, to which all others are compared, and the row that the third block of the ablation varies."""

PUBLISHED = ("svd-llm", "svd-llm-v2", "basis-sharing", "gfwsvd", "zs-svd", "io-svd", "d-rank")
"""The published methods that are compared under both storages; what those leave out (SVD, FWSVD, ASVD) is far behind them in either."""


def stored(name: str, storage: str) -> Row:
    """A published method under a storage, which is part of its name unless it is the paper's."""
    method = replace(METHODS[name], storage=storage)
    return Row(name if storage == "factors" else f"{name}-{storage}", f"{method.title}, {storage}", method)


STORAGE: tuple[tuple[Row, ...], ...] = (
    *(tuple(stored(name, storage) for name in PUBLISHED) for storage in ("factors", "pivoted")),
    (Row(FIRST, "L-Rank, plain", PLAIN), Row(FULL, "L-Rank", L_RANK)),
)
"""The rows of the table of storages."""

ABLATION: tuple[tuple[Row, ...], ...] = (
    (
        stored("svd-llm", "factors"),
        stored("svd-llm", "pivoted"),
        Row("d-rank-n1", "D-Rank, n = 1, factors", D_RANK),
        Row("d-rank-n1-pivoted", "D-Rank, n = 1, pivoted", replace(D_RANK, storage="pivoted")),
        stored("io-svd", "factors"),
        stored("io-svd", "pivoted"),
    ),
    (
        Row("plain-factors", "plain, factors", replace(PLAIN, storage="factors")),
        Row("scalar", "input side in units of the loss, pivoted", METHODS["l-rank-scalar"]),
        Row(FIRST, "both sides, pivoted (plain)", PLAIN),
    ),
    (
        Row("text", "plain, labels of the text", replace(PLAIN, labels="text")),
        Row("per-type", "plain, a budget for each type", replace(PLAIN, scope="type")),
        *(Row(f"damping-{value:g}", f"plain, damping {value:g}", replace(PLAIN, damping=value)) for value in (0.01, 1.0)),
        Row("steps-2", "plain, 2 steps", replace(PLAIN, steps=2)),
    ),
    (
        *(
            Row(f"compensated-{share:g}", f"plain + refit, a = {share:g}", replace(PLAIN, **COMPENSATED, compensation=share))
            for share in (0.0, 0.5, 1.0)
        ),
        *(
            Row(f"anchored-{share:g}", f"plain + anchored refit, a = {share:g}", replace(PLAIN, **ANCHORED, compensation=share))
            for share in (0.5, 1.0)
        ),
        Row("unfitted", f"plain + {L_RANK.corrections} corrections, no refit", replace(L_RANK, refit_from=None)),
    ),
    (
        *(
            Row(f"corrected-{count}", f"plain + refit, {count} correction{'s' * (count > 1)}", replace(L_RANK, corrections=count))
            for count in range(1, L_RANK.corrections)
        ),
        Row(FULL, f"plain + refit, {L_RANK.corrections} corrections (L-Rank)", L_RANK),
        Row("anchored-corrected", f"plain + anchored refit, {L_RANK.corrections} corrections", replace(L_RANK, refit="anchored")),
        Row("l-rank-factors", "L-Rank, factors", replace(L_RANK, storage="factors")),
    ),
    (
        Row("d-rank-corrected", "D-Rank, n = 1, pivoted, refit and corrections", replace(D_RANK, **CORRECTED)),
        Row("io-svd-corrected", "IO-SVD, pivoted, refit and corrections", replace(METHODS["io-svd"], **CORRECTED)),
    ),
)
"""The rows of the ablation, a rule between the blocks. Plain has sampled labels, damping 0.1, one step and no refit."""

ROWS = {row.name: row for block in (*STORAGE, *ABLATION) for row in block}
"""The rows by name."""

OVER_WINDOWS = (FIRST, FULL)
"""The rows that are measured at every size of the calibration text."""

OVER_CORPORA = ("svd-llm", "d-rank-n1", FIRST, FULL)
"""The rows that are calibrated on every corpus."""
