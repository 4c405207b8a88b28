"""Measurements as records have them, of texts or of tasks: the pieces that each needs, and what it says once these are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from drank.corpora.windows import Tokens
from drank.evaluation.continuations import Continuations
from drank.evaluation.losses import WindowLosses
from drank.evaluation.measured_model import Taken
from drank.evaluation.overfitting import Overfitting
from drank.evaluation.perplexity import summarised
from drank.evaluation.pieces import Piece
from drank.evaluation.reference import Reference
from drank.evaluation.wanted import Wanted, wanted_continuations, wanted_tasks, wanted_texts
from drank.evaluation.zeroshot import expanded
from drank.evaluation.zeroshot.scoring import scored
from drank.models.checkpoint import load_tokenizer
from drank.runtime.files import file_hash
from drank.runtime.provenance import code_state

Decided = Mapping[str, Mapping[str, Any]]
"""By kind of pieces what decides them beside what is asked for (`wanted.decided`)."""

Found = Mapping[str, Mapping[str, Piece]]
"""Pieces by their kind, and by the text or task that they are of."""


@dataclass(frozen=True)
class Measurement:
    """What was found, as the `rows`, the fields of `Result`, and the `detail` of a record of its `kind`, and how it was.

    `taken` is what all of it took and `settings` are those of the measurement, `inputs` the SHA-256 of what was read besides the model.
    Where data sets were measured one by one, `apart` says of each when, and what that took. `told` are further fields of the provenance.
    """

    kind: str
    rows: list[dict[str, Any]]
    detail: dict[str, Any]
    taken: Taken
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Texts:
    """Perplexity on texts by a section `perplexity`, the `options`, and what models write after them, read by the tokenizer in a folder.

    `references` is what is kept of the dense model on each text, if anything is, `fitted` what overfitting is measured against, and
    `overlaps` what the step of that name found of these texts.
    """

    kind: ClassVar[str] = "perplexity"
    texts: Sequence[Tokens]
    options: Mapping[str, Any]
    tokenizer: Path
    references: Sequence[Reference] = ()
    fitted: Sequence[Overfitting] = ()
    overlaps: Sequence[Mapping[str, Any]] = ()

    def wanted(self, decided: Decided) -> list[Wanted]:
        """The pieces; raises ValueError where a reference is of other windows."""
        return [
            *wanted_texts(self.texts, self.options, decided["perplexity"], self.references),
            *wanted_continuations(self.texts, self.options, decided["continuations"]),
            *(one.wanted(decided["perplexity"]) for one in self.fitted),
        ]

    def measurement(self, found: Found) -> Measurement:
        """What is said once all pieces are there; raises ValueError where a loss is not finite or too large for a perplexity."""
        written = found.get("continuations", {})
        losses = {name: WindowLosses(**piece.found) for name, piece in found["perplexity"].items()}
        continued = {name: Continuations(**piece.found) for name, piece in written.items()}
        decode = load_tokenizer(self.tokenizer).decode if continued else str
        rows, detail = summarised(self.texts, losses, continued, decode)
        told = self._overlap()
        for one in self.fitted:
            more, told["overfitting"] = one.summarised(losses[one.dataset])
            rows += more
        taken, apart = _taken({**found["perplexity"], **{f"continuations of {name}": piece for name, piece in written.items()}})
        inputs = {f"text {text.corpus}": text.text_sha256 for text in self.texts}
        return Measurement(self.kind, rows, detail, taken, dict(self.options), inputs, apart, told)

    def _overlap(self) -> dict[str, Any]:
        """What provenance tells of overlap: the share of each text that stands in each that making the model read."""
        shares: dict[str, dict[str, float]] = {}
        for one in self.overlaps:
            shares.setdefault(one["text"], {})[one["read"]] = one["share"]
        return {"overlap": shares} if shares else {}


@dataclass(frozen=True)
class Tasks:
    """Accuracy on `tasks` by a section `zeroshot`, the `options`, their prompts cut by the tokenizer in a folder.

    `items` are the files of embedded tasks by name, and `data` other files that tasks read.
    """

    kind: ClassVar[str] = "zeroshot"
    tasks: Mapping[str, Any]
    options: Mapping[str, Any]
    tokenizer: Path
    items: Mapping[str, str] = field(default_factory=dict)
    data: Sequence[str] = ()

    def wanted(self, decided: Decided) -> list[Wanted]:
        """The pieces; raises ValueError with all that is wrong with the tasks."""
        return wanted_tasks(self.tasks, self.items, self.options, self.tokenizer, decided["zeroshot"])

    def measurement(self, found: Found) -> Measurement:
        """What is said once all pieces are there; raises ValueError where a task has too few items for a standard error."""
        pieces = found["zeroshot"]
        rows, detail = scored({name: piece.found for name, piece in pieces.items()}, expanded(self.tasks).groups)
        taken, apart = _taken(pieces)
        inputs = {f"data {path}": file_hash(path) for path in [*self.items.values(), *self.data]}
        return Measurement(self.kind, rows, detail, taken, {**self.options, "tasks": dict(self.tasks)}, inputs, apart)


def by_kind(wanted: Sequence[Wanted], pieces: Sequence[Piece]) -> Found:
    """The pieces that were wanted, which stand in the same order."""
    found: dict[str, dict[str, Piece]] = {}
    for one, piece in zip(wanted, pieces, strict=True):
        found.setdefault(one.kind, {})[one.dataset] = piece
    return found


def _taken(pieces: Mapping[str, Piece]) -> tuple[Taken, dict[str, Any]]:
    """What measuring all pieces took, by the code that writes the record now, and of each by name in what it differs from that."""
    told = {name: Taken(**piece.took) for name, piece in pieces.items()}
    together = Taken.together(list(told.values()))
    taken = replace(together, origin=together.origin | code_state())
    return taken, {name: one.beside(taken) for name, one in told.items()}
