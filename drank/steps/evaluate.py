"""Measure one model: perplexity on texts and zero-shot accuracy on tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drank.corpora.windows import read_tokens
from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.perplexity import measure
from drank.evaluation.zeroshot import evaluate_tasks
from drank.models.checkpoint import load_tokenizer
from drank.models.theirs import Theirs
from drank.reporting.records.measured import record_of
from drank.runtime.files import file_hash


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
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write the records `perplexity`, where there are tokens, and `zeroshot`, where there are tasks, each to its place in `outputs`.

    `names` gives model, method and ratio; `items` are the files of embedded tasks by name, `data` other files that tasks read; `dense` is
    what a record says of the method of a model that no plan made. For somebody else's checkpoint `beside` is the source file of the dense
    model: its tokenizer reads the tasks, as it has read the texts.
    """
    subject = MeasuredModel.of(model, compute, threads)
    theirs = Theirs.of(model, beside) if beside else None
    if texts := [read_tokens(path) for path in tokens]:
        rows, detail = measure(subject.model, texts, perplexity["length"], perplexity["windows"], perplexity["batch"])
        inputs = {f"text {text.corpus}": text.text_sha256 for text in texts}
        record_of(subject, "perplexity", names, rows, detail, perplexity, inputs, dense, theirs).write(outputs["perplexity"])
    if tasks:
        built, tokenizer = dict(items or {}), load_tokenizer(theirs.dense if theirs else subject.directory)
        rows, detail = evaluate_tasks(subject.model, tokenizer, dict(tasks), items=built, batch=zeroshot["batch"], limit=zeroshot["limit"])
        inputs = {f"data {path}": file_hash(path) for path in [*built.values(), *data]}
        settings = {**zeroshot, "tasks": dict(tasks)}
        record_of(subject, "zeroshot", names, rows, detail, settings, inputs, dense, theirs).write(outputs["zeroshot"])
