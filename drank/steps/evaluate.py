"""Measure one model: perplexity on texts and zero-shot accuracy on tasks, of all windows and items or of a share of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drank.corpora.windows import Tokens, read_tokens
from drank.evaluation.measured_model import MeasuredModel, Taken
from drank.evaluation.perplexity import WindowLosses, losses_of, summarised
from drank.evaluation.zeroshot import answer_tasks
from drank.evaluation.zeroshot.scoring import joined, scored
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import Places, model_directory
from drank.models.theirs import Theirs
from drank.reporting.records.measured import record_of
from drank.runtime.files import file_hash, read_json, write_json
from drank.runtime.shares import WHOLE, Share, check_complete


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
    places: Places,
    compute: Mapping[str, Any],
    threads: int,
    share: str | None = None,
    parts: Sequence[str] = (),
) -> None:
    """Write the records `perplexity`, where there are tokens, and `zeroshot`, where there are tasks, each to its place in `outputs`.

    `names` gives model, method and ratio; `items` are the files of embedded tasks by name, `data` other files that tasks read; `dense` is
    what a record says of the method of a model that no plan made. For somebody else's checkpoint `beside` is the source file of the dense
    model: its tokenizer reads the tasks, as it has read the texts.

    With a `share`, such as 2-of-4, what it finds is written to `part` in `outputs` instead; out of the `parts` of all shares the records
    are made without the model.
    """
    theirs = Theirs.of(model, beside, places) if beside else None
    texts, built, asked = [read_tokens(path) for path in tokens], dict(items or {}), dict(tasks or {})
    settings = {"perplexity": dict(perplexity), "zeroshot": {**zeroshot, "tasks": asked}}
    if parts:
        found = _gathered(parts, model)
    else:
        tokenizer = theirs.dense if theirs else model_directory(model, places)
        found = _measured(
            MeasuredModel.of(model, compute, threads, places), tokenizer, texts, built, settings, Share.named(share) if share else WHOLE
        )
    if share:
        write_json(outputs["part"], {"share": share, **found})
        return
    inputs = {
        "perplexity": {f"text {text.corpus}": text.text_sha256 for text in texts},
        "zeroshot": {f"data {path}": file_hash(path) for path in [*built.values(), *data]} if asked else {},
    }
    for kind, measured in found.items():
        rows, detail = summarised(texts, _losses(measured["found"])) if kind == "perplexity" else scored(measured["found"])
        taken = Taken(**measured["taken"])
        record_of(taken, kind, names, rows, detail, settings[kind], inputs[kind], dense, theirs).write(outputs[kind])


def _measured(
    subject: MeasuredModel, tokenizer: Path, texts: list[Tokens], built: Mapping[str, str], settings: Mapping[str, Any], share: Share
) -> dict[str, Any]:
    """What measuring finds, by kind, as JSON holds it: window losses by corpus, marks by task, and with each what it took."""
    found: dict[str, Any] = {}
    if texts:
        text = settings["perplexity"]
        losses = losses_of(subject.model, texts, text["length"], text["windows"], text["batch"], share)
        found["perplexity"] = {"found": {corpus: asdict(one) for corpus, one in losses.items()}, "taken": asdict(subject.taken())}
    if tasks := settings["zeroshot"]["tasks"]:
        options = {key: settings["zeroshot"][key] for key in ("batch", "limit")}
        marks = answer_tasks(subject.model, load_tokenizer(tokenizer), tasks, items=built, **options, share=share)
        found["zeroshot"] = {"found": marks, "taken": asdict(subject.taken())}
    return found


def _gathered(parts: Sequence[str], model: str) -> dict[str, Any]:
    """What all shares have found together, as `_measured` finds it of the whole; raises ValueError where parts are missing."""
    told = [read_json(part) for part in parts]
    check_complete([Share.named(one.pop("share")) for one in told], f"the measurement of {model}")
    gathered = {}
    for kind in told[0]:
        found = [one[kind]["found"] for one in told]
        taken = Taken.together([Taken(**one[kind]["taken"]) for one in told])
        if kind == "perplexity":
            losses = [_losses(one) for one in found]
            whole = {corpus: asdict(WindowLosses.joined([one[corpus] for one in losses])) for corpus in losses[0]}
        gathered[kind] = {"found": whole if kind == "perplexity" else joined(found), "taken": asdict(taken)}
    return gathered


def _losses(found: Mapping[str, Any]) -> dict[str, WindowLosses]:
    return {corpus: WindowLosses(**one) for corpus, one in found.items()}
