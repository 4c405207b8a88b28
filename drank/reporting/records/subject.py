"""The model that records are of, and the record of a measurement of it that has just been made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.compression.making import making_of
from drank.corpora.amount import tokens_per_channel
from drank.models.carried import written_by_drank
from drank.models.description import is_compressed, quantised_by
from drank.models.documents import CARD, MAKING, NUMBERS, PLAN
from drank.models.families import needs_bos
from drank.models.random_weights import is_random
from drank.models.tensors import StoredSize, size_of
from drank.reporting.records import Record, Result, Size
from drank.runtime.files import file_hash, read_json

if TYPE_CHECKING:
    from drank.evaluation.measurement import Measurement
    from drank.models.theirs import Theirs


@dataclass(frozen=True)
class Subject:
    """The model that records are of: the folder that it lies in, and its `names`, which are model, method and ratio.

    The method with all its fields, the texts it read and how the model was made are told by the folder; the method of a model that drank
    did not compress is `dense`. So is that of somebody else's checkpoint, `theirs`, whatever lies in its folder.
    """

    directory: Path
    names: Mapping[str, str]
    dense: Mapping[str, Any] | None = None
    theirs: Theirs | None = None

    @property
    def tokenizer(self) -> Path:
        """The folder of the model whose tokenizer reads texts and tasks: the dense one that somebody else's checkpoint stands beside."""
        return self.theirs.dense if self.theirs else self.directory

    def record(self, found: Measurement) -> Record:
        """The record of a measurement of this model.

        The model's hash leaves out its card, and when and where it was made. Of a model whose family needs BOS before every window this is
        told (`needs_bos`), of one made on a text how many tokens of it there were for each channel of the widest input
        (`tokens_per_channel`), and of one whose weights were drawn at random that they were (`random_weights`).
        """
        planned = self.theirs is None and (self.directory / PLAN).is_file() and written_by_drank(self.directory / PLAN)
        config = read_json(self.directory / "config.json")
        compressed = is_compressed(config.get("quantization_config"))
        made = making_of(self.directory) if planned or (self.theirs is None and compressed) else None
        plan = Plan.read(self.directory / PLAN) if planned else None
        provenance = {
            **found.told,
            **found.taken.origin,
            "settings": dict(found.settings),
            "method": plan.settings if plan else dict(made["method"] if made else self.dense or {}),
            "calibration": ({**_text_of(made), **plan.calibration} or None) if plan else None,
            "making": {key: value for key, value in made.items() if key not in ("method", "packages")} if made else None,
            "inputs": {"model": file_hash(self.directory, {MAKING, CARD, NUMBERS}), **found.inputs},
        }
        if needs_bos(read_json(self.tokenizer / "config.json")):
            provenance["needs_bos"] = True
        if is_random(config):
            provenance["random_weights"] = True
        if plan and (tokens := _tokens_per_channel(plan, provenance["calibration"] or {})):
            provenance["tokens_per_channel"] = tokens
        if found.apart:
            provenance["measured"] = {name: dict(told) for name, told in found.apart.items()}
        if self.theirs is not None:
            provenance["checkpoint"] = self.theirs.description
            provenance["method"]["checkpoint"] = self.theirs.description["source"]
        names, results = self.names, tuple(Result(**row) for row in found.rows)
        size = self._size(found.taken.itemsize)
        return Record(found.kind, names["model"], names["method"], float(names["ratio"]), size, results, found.detail, provenance)

    def _size(self, itemsize: int) -> Size:
        """What the model takes to store, in the precision of the run."""
        if self.theirs is not None:
            return _their_size(self.directory, itemsize, self.theirs)
        stored = size_of(self.directory)
        return Size(stored.parameters, _bytes(self.directory, itemsize, stored), stored.ratio_stored, stored.ratio_model)


def _their_size(directory: Path, itemsize: int, theirs: Theirs) -> Size:
    """What somebody else's checkpoint takes, and the share of the dense model that it lacks: of its parameters.

    Packed numbers are not parameters, so that for a quantised checkpoint it is the share of its bytes, of both as stored; a rounded model
    stands beside the dense one in the precision of the run, in which it keeps what is not rounded, and has the dense one's parameters. What
    it removed from the projections is known where drank made it, and of others not.
    """
    config, stored, whole = read_json(directory / "config.json"), size_of(directory), size_of(theirs.dense)
    known, packed = is_compressed(config.get("quantization_config")), quantised_by(config)
    beside = whole.parameters * itemsize if theirs.rounded else whole.bytes
    share = stored.bytes / beside if packed else stored.parameters / whole.parameters
    parameters = whole.parameters if theirs.rounded else stored.parameters
    return Size(parameters, _bytes(directory, itemsize, stored), stored.ratio_stored if known else None, 1 - share)


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
