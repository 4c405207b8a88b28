"""What a run will write to the disk, leave there and hold meanwhile: bytes from the sizes of models and texts, before any is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from drank.calibration.passes import LIKELIEST, WINDOWS
from drank.config.forecast import PART, text_tokens
from drank.config.sizes import Sizes, sizes_for
from drank.methods import Method, outputs_read

PARTS = (f"calibrate{PART}", f"gradients{PART}")
"""Rules whose results go once they are added up, whatever a run keeps."""

PASSING = (*PARTS, "calibrate", "gradients", "spectrum", "relinearise", "reference")
"""Rules whose results `keep: models` lets go."""

WEIGHTS = ("compress", "compress_shape", "round")
"""Rules whose results `keep: nothing` lets go too."""

LET_GO = {"all": PARTS, "models": PASSING, "nothing": (*PASSING, *WEIGHTS)}
"""By what a run keeps the rules whose results go with their last reader."""


class Written(NamedTuple):
    """Bytes that jobs write, those of them that stay, and the most that lie beside these for a while."""

    total: float
    kept: float
    passing: float


def written(
    config: Mapping[str, Any],
    jobs: Iterable[tuple[int, str, Mapping[str, str]]],
    methods: Mapping[str, Mapping[str, Method]],
    sizes: Mapping[str, Sizes] | None = None,
) -> Written:
    """What these jobs, each a number, rule and wildcards, write.

    What passes is counted for the model that has most of it, as models may come one after the other. Moments, gradients and spectra of one
    lie there together; compressed models, which go once they are measured, one at a time, or with timings those of a ratio.

    Left out are texts, plans, records and figures, small beside them, and hidden states, which stay for a while only (`room`).
    Raises what `sizes_for` does.
    """
    jobs = list(jobs)
    sizes = sizes or sizes_for(config, jobs)
    kinds = {"float32": 4, "bfloat16": 2, "float16": 2}
    gone, total, kept = LET_GO[config["keep"]], 0.0, 0.0
    passing: dict[str, float] = defaultdict(float)
    measured: dict[tuple[str, Any], float] = defaultdict(float)
    for number, rule, names in jobs:
        if rule not in BYTES or names.get("model") not in sizes:
            continue
        model = names["model"]
        found = BYTES[rule](sizes[model], names, methods[model], kinds[config["compute"]["dtype"]], config)
        total += found
        if rule not in gone:
            kept += found
        elif rule in WEIGHTS:
            measured[model, names.get("ratio") if "throughput" in config else number] += found
        else:
            passing[model] += found
    largest = {model: max((size for (one, _), size in measured.items() if one == model), default=0.0) for model in sizes}
    return Written(total, kept, max((passing[model] + largest[model] for model in sizes), default=0.0))


def _moments(size: Sizes, *_: Any) -> float:
    return 8.0 * sum(width**2 * count for width, count in size.inputs)


def _gradients(size: Sizes, names: Mapping[str, str], methods: Mapping[str, Method], *_: Any, weight: float = 4.0) -> float:
    labels, calibrated = names["labels"], names.get("calibrated", "")
    if labels == WINDOWS:
        return 8.0 * sum((rows**2 + columns**2) * count for rows, columns, count in size.projections)
    outputs = 8.0 if outputs_read(methods.values(), labels, calibrated) else 0.0
    weights = 0.0 if labels == LIKELIEST else weight
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
    **dict(zip(PARTS, (_moments, partial(_gradients, weight=8.0)), strict=True)),  # sums of mean gradients stay in float64
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


def told(found: Written, keep: str) -> str:
    """A line of it: `about 14 GB on disk`, or how much of that stays and what lies there on the way."""
    if found.kept == found.total:
        return f"about {amount(found.total)} on disk"
    stays = f"writes about {amount(found.total)}, of which {amount(found.kept)} stay (keep: {keep})"
    return f"{stays} and some {amount(found.passing)} more lie there on the way"
