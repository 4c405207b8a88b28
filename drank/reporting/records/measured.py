"""The record of a measurement that has just been made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.compression.making import making_of
from drank.corpora.amount import tokens_per_channel
from drank.models.carried import written_by_drank
from drank.models.description import is_compressed, quantised_by
from drank.models.documents import CARD, MAKING, NUMBERS, PLAN
from drank.models.families import needs_bos
from drank.models.tensors import StoredSize, size_of
from drank.reporting.records import Record, Result, Size
from drank.runtime.files import file_hash, read_json

if TYPE_CHECKING:
    from drank.evaluation.measured_model import Taken
    from drank.models.theirs import Theirs


def record_of(
    directory: Path,
    taken: Taken,
    kind: str,
    label: Mapping[str, str],
    rows: list[dict[str, Any]],
    detail: dict[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    dense: Mapping[str, Any] | None,
    theirs: Theirs | None = None,
    measured: Mapping[str, Mapping[str, Any]] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Record:
    """The record of a measurement of the model in a directory from what it took and its rows, the fields of `Result`.

    `label` gives model, method and ratio, `settings` are those of the measurement, `inputs` the SHA-256 of what was read besides the
    model. The method with all its fields, the texts it read and how the model was made come from the model's folder; the method of a
    model that drank did not compress is `dense`. So does `dense` tell the method of somebody else's checkpoint, `theirs`, whatever
    lies in its folder. Where data sets were measured one by one, `measured` says of each when, and what that took. The model's hash
    leaves out its card, and when and where it was made. Of a model whose family needs BOS before every window this is told (`needs_bos`),
    of one made on a text how many tokens of it there were for each channel of the widest input (`tokens_per_channel`). `told` are
    further fields of the provenance.
    """
    plan = directory / PLAN
    planned = theirs is None and plan.is_file() and written_by_drank(plan)
    compressed = is_compressed(read_json(directory / "config.json").get("quantization_config"))
    made = making_of(directory) if planned or (theirs is None and compressed) else None
    read = Plan.read(plan) if planned else None
    provenance = {
        **(told or {}),
        **taken.origin,
        "settings": dict(settings),
        "method": read.settings if read else dict(made["method"] if made else dense or {}),
        "calibration": ({**_text_of(made), **read.calibration} or None) if read else None,
        "making": {key: value for key, value in made.items() if key not in ("method", "packages")} if made else None,
        "inputs": {"model": file_hash(directory, {MAKING, CARD, NUMBERS}), **inputs},
    }
    if needs_bos(read_json((theirs.dense if theirs else directory) / "config.json")):
        provenance["needs_bos"] = True
    if read and (tokens := _tokens_per_channel(read, provenance["calibration"] or {})):
        provenance["tokens_per_channel"] = tokens
    if measured:
        provenance["measured"] = {name: dict(told) for name, told in measured.items()}
    if theirs is not None:
        provenance["checkpoint"] = theirs.description
        provenance["method"]["checkpoint"] = theirs.description["source"]
    size = _size(directory, taken.itemsize) if theirs is None else _their_size(directory, taken.itemsize, theirs)
    results = tuple(Result(**row) for row in rows)
    return Record(kind, label["model"], label["method"], float(label["ratio"]), size, results, detail, provenance)


def _size(directory: Path, itemsize: int) -> Size:
    """What a model of the run takes to store, in the precision of the run."""
    stored = size_of(directory)
    return Size(stored.parameters, _bytes(directory, itemsize, stored), stored.ratio_stored, stored.ratio_model)


def _their_size(directory: Path, itemsize: int, theirs: Theirs) -> Size:
    """What somebody else's checkpoint takes, and the share of the dense model that it lacks: of its parameters.

    Packed numbers are not parameters, so that for a quantised checkpoint it is the share of its bytes, of both as stored; a rounded model
    stands beside the dense one in the precision of the run, in which it keeps what is not rounded. What it removed from the projections is
    known where drank made it, and of others not.
    """
    config, stored, whole = read_json(directory / "config.json"), size_of(directory), size_of(theirs.dense)
    known, packed = is_compressed(config.get("quantization_config")), quantised_by(config)
    beside = whole.parameters * itemsize if theirs.rounded else whole.bytes
    share = stored.bytes / beside if packed else stored.parameters / whole.parameters
    return Size(stored.parameters, _bytes(directory, itemsize, stored), stored.ratio_stored if known else None, 1 - share)


def _bytes(directory: Path, itemsize: int, stored: StoredSize) -> int:
    """The size of a model in the precision of the run, as all rows have it; of one whose weights are packed, what its files hold."""
    packed = quantised_by(read_json(directory / "config.json"))
    return stored.bytes if packed else stored.parameters * itemsize


def _text_of(making: Mapping[str, Any] | None) -> dict[str, Any]:
    """The calibration text of a model whose spectra needed none and whose factors were made again on it; empty where nothing was."""
    texts = making["texts"] if making else {}
    return texts.get("refit") or texts.get("corrections") or {}


def _tokens_per_channel(plan: Plan, text: Mapping[str, Any]) -> float | None:
    """Tokens of calibration text for each channel of the widest input of the projections; None where none was read."""
    return tokens_per_channel(text, max(group.shape.rows for group in plan.groups)) if "windows" in text and plan.groups else None
