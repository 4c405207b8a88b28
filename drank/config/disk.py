"""What a run will leave on the disk: bytes of what its jobs write, from the sizes of models and texts, before any is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drank.calibration.passes import LIKELIEST, WINDOWS
from drank.config.forecast import text_tokens
from drank.config.sizes import Sizes, sizes_for
from drank.methods import Method, outputs_read

PASSING = ("calibrate", "gradients", "spectrum", "relinearise", "reference")
"""Rules whose results `keep: models` lets go."""

WEIGHTS = ("compress", "compress_shape", "round")
"""Rules whose results `keep: nothing` lets go too."""

LET_GO = {"all": (), "models": PASSING, "nothing": (*PASSING, *WEIGHTS)}
"""By what a run keeps the rules whose results go with their last reader."""


def written(
    config: Mapping[str, Any],
    jobs: Iterable[tuple[int, str, Mapping[str, str]]],
    methods: Mapping[str, Mapping[str, Method]],
    sizes: Mapping[str, Sizes] | None = None,
) -> tuple[float, float]:
    """The bytes that these jobs, each a number, rule and wildcards, write, and those of them that stay.

    Left out are texts, plans, records and figures, small beside them, and hidden states, which stay for a while only (`room`).
    Raises what `sizes_for` does.
    """
    jobs = list(jobs)
    sizes = sizes or sizes_for(config, jobs)
    kinds = {"float32": 4, "bfloat16": 2, "float16": 2}
    gone, total, kept = LET_GO[config["keep"]], 0.0, 0.0
    for _, rule, names in jobs:
        if rule in BYTES and names.get("model") in sizes:
            found = BYTES[rule](sizes[names["model"]], names, methods[names["model"]], kinds[config["compute"]["dtype"]], config)
            total += found
            kept += 0 if rule in gone else found
    return total, kept


def _moments(size: Sizes, *_: Any) -> float:
    return 8.0 * sum(width**2 * count for width, count in size.inputs)


def _gradients(size: Sizes, names: Mapping[str, str], methods: Mapping[str, Method], *_: Any) -> float:
    labels, calibrated = names["labels"], names.get("calibrated", "")
    if labels == WINDOWS:
        return 8.0 * sum((rows**2 + columns**2) * count for rows, columns, count in size.projections)
    outputs = 8.0 if outputs_read(methods.values(), labels, calibrated) else 0.0
    weights = 0.0 if labels == LIKELIEST else 4.0
    return sum((outputs * columns**2 + weights * rows * columns) * count for rows, columns, count in size.projections)


def _spectra(size: Sizes, names: Mapping[str, str], methods: Mapping[str, Method], *_: Any) -> float:
    method = next((one for one in methods.values() if names.get("spectrum") == one.spectrum), methods.get(names.get("method", "")))
    sides = 2 if method is not None and method.weighs_gradients else 1
    group = method.group if method is not None else 1
    return sum(4.0 * sides * min(rows, group * columns) * columns * count for rows, columns, count in size.projections)


def _model(size: Sizes, names: Mapping[str, str], _methods: Mapping[str, Method], itemsize: int, *_: Any) -> float:
    return itemsize * (size.parameters - float(names.get("ratio", 0)) * size.inside)


def _rounded(size: Sizes, _names: Mapping[str, str], _methods: Mapping[str, Method], itemsize: int, *_: Any) -> float:
    return itemsize * (size.parameters - size.inside) + size.inside


def _reference(size: Sizes, _names: Mapping[str, str], _methods: Mapping[str, Method], itemsize: int, config: Mapping[str, Any]) -> float:
    return float(itemsize * size.width * text_tokens(config["perplexity"]))


BYTES: dict[str, Callable[..., float]] = {
    "calibrate": _moments,
    "gradients": _gradients,
    "spectrum": _spectra,
    "relinearise": _spectra,
    **dict.fromkeys(("compress", "compress_shape"), _model),
    "round": _rounded,
    "reference": _reference,
}
"""The bytes that each rule's job leaves."""


def amount(size: float) -> str:
    """Bytes in words, such as `14 GB`."""
    return f"{float(f'{size / 1e9:.2g}'):g} GB" if size >= 1e8 else f"{max(1, round(size / 1e6))} MB"


def told(total: float, kept: float, keep: str) -> str:
    """A line of it: `about 14 GB on disk`, or how much of that stays."""
    return (
        f"about {amount(total)} on disk" if kept == total else f"writes about {amount(total)}, of which {amount(kept)} stay (keep: {keep})"
    )
