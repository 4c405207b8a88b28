"""Measure one model: perplexity on texts and zero-shot accuracy on tasks, of all windows and items or of a share of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drank.corpora.windows import Tokens, read_tokens
from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.measurement import Tasks, Texts, by_kind
from drank.evaluation.measuring import gathered, measured
from drank.evaluation.overfitting import Overfitting
from drank.evaluation.pieces import MEASURED_BY, Piece, Pieces
from drank.evaluation.reference import Reference
from drank.evaluation.seen import refuse_seen
from drank.evaluation.wanted import decided
from drank.models.sources import Places, model_directory
from drank.models.theirs import Theirs
from drank.reporting.records.subject import Subject
from drank.runtime.device import prepare
from drank.runtime.files import read_json, write_json
from drank.runtime.heap import keep_freed
from drank.runtime.shares import WHOLE, Share


def run(
    outputs: Mapping[str, str | Path],
    *,
    names: Mapping[str, str],
    model: str,
    tokens: Sequence[str] = (),
    tasks: Mapping[str, Any] | None = None,
    items: Mapping[str, str] | None = None,
    data: Sequence[str] = (),
    perplexity: Mapping[str, Any],
    zeroshot: Mapping[str, Any],
    dense: Mapping[str, Any] | None,
    beside: str | None = None,
    references: Sequence[str] = (),
    source: str | None = None,
    overlaps: Sequence[str] = (),
    overfitting: Sequence[str] = (),
    seen: bool = True,
    places: Places,
    compute: Mapping[str, Any],
    threads: int,
    share: str | None = None,
    parts: Sequence[str] = (),
    kept: str | Path | None = None,
    measured_by: Mapping[str, str] | None = None,
) -> None:
    """Write the records `perplexity`, where there are tokens, and `zeroshot`, where there are tasks, each to its place in `outputs`.

    The texts go by the names that `perplexity` has in its `corpora`.

    `names` gives model, method and ratio; `items` are the files of embedded tasks by name, `data` other files that tasks read; `dense` is
    what a record says of the method of a model that no plan made. For somebody else's checkpoint `beside` is the source file of the dense
    model: its tokenizer reads the tasks, as it has read the texts.

    `references` are what the step `reference` left of the dense model on each text, and `source` is that model's source file: beside it
    are then told KL and how often both agree. `overlaps` are what the step `overlap` found of these texts, and `overfitting` what the step
    of that name found of the dense model, with the tokens of the text that it is of: perplexity's record tells both. Unless text may have
    been `seen`, a model that was made on one of these texts is not measured (SeenTextError).

    In the folder `kept` are the pieces that were measured before, one for each text and task; what is not there is measured and put there.
    `measured_by` are the hashes of the code that measures, by kind.

    With a `share`, such as 2-of-4, what it finds is written to `part` in `outputs` instead; out of the `parts` of all shares the records
    are made without the model.
    """
    theirs = Theirs.of(model, beside, places) if beside else None
    subject, texts, pieces = Subject(model_directory(model, places), names, dense, theirs), _texts(tokens, perplexity), Pieces(kept)
    if not seen:
        refuse_seen(subject.directory, texts)
    told = _references(references, source, places), _overfitting(*overfitting), [read_json(path) for path in overlaps]
    asked = (
        Texts(texts, perplexity, subject.tokenizer, *told),
        Tasks(tasks or {}, zeroshot, subject.tokenizer, items or {}, data),
    )
    now = decided(subject.directory, subject.tokenizer, measured_by or {}) if kept else {kind: {} for kind in MEASURED_BY}  # hashes a model
    wanted = [piece for one in asked for piece in one.wanted(now)]
    if parts:
        whole = gathered(wanted, [_part(path) for path in parts], pieces, f"the measurement of {model}")
    else:
        computing = {"device": prepare(compute, threads), "dtype": compute["dtype"], "threads": threads}
        keep_freed()
        own = Share.named(share) if share else WHOLE
        whole = measured(wanted, computing, pieces, lambda: MeasuredModel.of(model, compute, threads, places), own)
    if share:
        write_json(outputs["part"], {"share": share, "pieces": [piece.to_dict() for piece in whole]})
        return
    found = by_kind(wanted, whole)
    for one in asked:
        if one.kind in found:
            subject.record(one.measurement(found)).write(outputs[one.kind])
    pieces.tidy(now)


def _texts(tokens: Sequence[str], options: Mapping[str, Any]) -> list[Tokens]:
    """The texts in these files, under the names that a section `perplexity` has in its `corpora`, or else their own."""
    read = [read_tokens(path) for path in tokens]
    names = options.get("corpora") or [text.corpus for text in read]
    return [replace(text, corpus=name) for text, name in zip(read, names, strict=True)]


def _references(paths: Sequence[str], source: str | None, places: Places) -> list[Reference]:
    """What is kept in these folders of the dense model that a source file describes; none without folders."""
    return [Reference.read(path, model_directory(source, places)) for path in paths] if source else []


def _part(path: str | Path) -> tuple[Share, list[Piece]]:
    """A share and what its job found."""
    told = read_json(path)
    return Share.named(told["share"]), [Piece.from_dict(piece) for piece in told["pieces"]]


def _overfitting(path: str | None = None, tokens: str = "") -> list[Overfitting]:
    """What overfitting is measured against, as the step of that name has left it, of the text of these tokens; none without a path."""
    return [Overfitting.of(read_tokens(tokens), read_json(path))] if path else []
