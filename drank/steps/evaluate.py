"""Measure one model: perplexity on texts and zero-shot accuracy on tasks, of all windows and items or of a share of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drank.corpora.windows import Tokens, read_tokens
from drank.evaluation.continuations import Continuations
from drank.evaluation.losses import WindowLosses
from drank.evaluation.measured_model import MeasuredModel, Taken
from drank.evaluation.measuring import gathered, measured
from drank.evaluation.overfitting import Overfitting
from drank.evaluation.perplexity import summarised
from drank.evaluation.pieces import MEASURED_BY, Piece, Pieces
from drank.evaluation.reference import Reference
from drank.evaluation.seen import refuse_seen
from drank.evaluation.wanted import Wanted, decided, wanted_continuations, wanted_tasks, wanted_texts
from drank.evaluation.zeroshot import expanded
from drank.evaluation.zeroshot.scoring import scored
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import Places, model_directory
from drank.models.theirs import Theirs
from drank.reporting.records.measured import record_of
from drank.runtime.device import prepare
from drank.runtime.files import file_hash, read_json, write_json
from drank.runtime.heap import keep_freed
from drank.runtime.provenance import code_state
from drank.runtime.shares import WHOLE, Share

RECORDS = {"continuations": "perplexity"}
"""By kind of pieces the kind of the record that they go into, where that is another."""


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
    directory, pieces = model_directory(model, places), Pieces(kept)
    texts, fitted = _texts(tokens, perplexity), _overfitting(*overfitting)
    if not seen:
        refuse_seen(directory, texts)
    theirs = Theirs.of(model, beside, places) if beside else None
    tokenizer, asked, built = theirs.dense if theirs else directory, dict(tasks or {}), dict(items or {})
    now = decided(directory, tokenizer, measured_by or {}) if kept else {kind: {} for kind in MEASURED_BY}  # a model is read for its hash
    wanted = [
        *wanted_texts(texts, perplexity, now["perplexity"], _references(references, source, places)),
        *wanted_continuations(texts, perplexity, now["continuations"]),
        *(one.wanted(now["perplexity"]) for one in fitted),
        *wanted_tasks(asked, built, zeroshot, tokenizer, now["zeroshot"]),
    ]
    if parts:
        found = gathered(wanted, [_part(path) for path in parts], pieces, f"the measurement of {model}")
    else:
        computing = {"device": prepare(compute, threads), "dtype": compute["dtype"], "threads": threads}
        keep_freed()
        own = Share.named(share) if share else WHOLE
        found = measured(wanted, computing, pieces, lambda: MeasuredModel.of(model, compute, threads, places), own)
    if share:
        write_json(outputs["part"], {"share": share, "pieces": [piece.to_dict() for piece in found]})
        return
    settings = {"perplexity": dict(perplexity), "zeroshot": {**zeroshot, "tasks": asked}}
    inputs = {
        "perplexity": {f"text {text.corpus}": text.text_sha256 for text in texts},
        "zeroshot": {f"data {path}": file_hash(path) for path in [*built.values(), *data]} if asked else {},
    }
    for kind, ours in _by_record(wanted, found).items():
        rows, detail, told = _numbers(texts, ours, tokenizer, fitted, asked)
        told |= _overlap(overlaps) if kind == "perplexity" else {}
        taken, apart = _taken(ours)
        record = record_of(directory, taken, kind, names, rows, detail, settings[kind], inputs[kind], dense, theirs, apart, told)
        record.write(outputs[kind])
    pieces.tidy(now)


def _by_record(wanted: Sequence[Wanted], found: Sequence[Piece]) -> dict[str, dict[str, dict[str, Piece]]]:
    """The pieces by the kind of the record that they go into, by their own kind, and by the text or task that they are of."""
    records: dict[str, dict[str, dict[str, Piece]]] = {}
    for one, piece in zip(wanted, found, strict=True):
        records.setdefault(RECORDS.get(one.kind, one.kind), {}).setdefault(one.kind, {})[one.dataset] = piece
    return records


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


def _taken(kinds: Mapping[str, Mapping[str, Piece]]) -> tuple[Taken, dict[str, Any]]:
    """What measuring all pieces took, by the code that writes the record now, and of each by name in what it differs from that."""
    told = {
        name if kind not in RECORDS else f"{kind} of {name}": Taken(**piece.took)
        for kind, pieces in kinds.items()
        for name, piece in pieces.items()
    }
    together = Taken.together(list(told.values()))
    taken = replace(together, origin=together.origin | code_state())
    return taken, {name: one.beside(taken) for name, one in told.items()}


def _numbers(
    texts: Sequence[Tokens],
    kinds: Mapping[str, Mapping[str, Piece]],
    tokenizer: Path,
    fitted: Sequence[Overfitting],
    tasks: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """The rows and the detail of a record out of what was found on each text or task, and what its provenance tells beside.

    The tokenizer in a folder reads the tokens that models wrote.
    """
    found = {kind: {name: piece.found for name, piece in pieces.items()} for kind, pieces in kinds.items()}
    if "zeroshot" in found:
        return *scored(found["zeroshot"], expanded(tasks).groups), {}
    losses = {name: WindowLosses(**one) for name, one in found["perplexity"].items()}
    continued = {name: Continuations(**one) for name, one in found.get("continuations", {}).items()}
    rows, detail = summarised(texts, losses, continued, load_tokenizer(tokenizer).decode if continued else str)
    told: dict[str, Any] = {}
    for one in fitted:
        more, told["overfitting"] = one.summarised(losses[one.dataset])
        rows += more
    return rows, detail, told


def _overfitting(path: str | None = None, tokens: str = "") -> list[Overfitting]:
    """What overfitting is measured against, as the step of that name has left it, of the text of these tokens; none without a path."""
    return [Overfitting.of(read_tokens(tokens), read_json(path))] if path else []


def _overlap(paths: Sequence[str]) -> dict[str, Any]:
    """What provenance tells of overlap: the share of each text that stands in each that making the model read; nothing without paths."""
    shares: dict[str, dict[str, float]] = {}
    for found in map(read_json, paths):
        shares.setdefault(found["text"], {})[found["read"]] = found["share"]
    return {"overlap": shares} if shares else {}
