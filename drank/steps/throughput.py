"""Time prefill and decoding of models, one after the other in one process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.throughput import check_cores, measure
from drank.models.sources import Places
from drank.models.theirs import Theirs
from drank.reporting.records.measured import record_of
from drank.runtime.files import replacing


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    models: Mapping[str, str],
    throughput: Mapping[str, Any],
    dense: Mapping[str, Any] | None,
    theirs: Mapping[str, Mapping[str, Any]] | None = None,
    places: Places,
    beside: str | None = None,
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write a folder with the record of each of the models, given by method; `names` gives their model and ratio.

    `dense` is what a record says of the method of a model that no plan made, `theirs` the same by method of somebody else's checkpoints,
    and `beside` the source file of the dense model that those are compared with.

    Raises ValueError where there are fewer cores than threads.
    """
    check_cores(threads)
    foreign = theirs or {}
    with replacing(output) as folder:
        folder.mkdir()
        for method, path in models.items():
            subject = MeasuredModel.of(path, compute, threads, places)
            rows, detail = measure(subject.model, **throughput, name=f"{method} at {names['ratio']}")
            label = {**names, "method": method}
            theirs_of = Theirs.of(path, beside, places) if beside and method in foreign else None
            settings = foreign.get(method, dense)
            record = record_of(subject.directory, subject.taken(), "throughput", label, rows, detail, throughput, {}, settings, theirs_of)
            record.write(folder / f"{method}.json")
