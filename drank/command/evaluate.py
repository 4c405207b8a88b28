"""`drank evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from drank.command.options import COMPUTE, applied
from drank.corpora.beginnings import AUTO, CONVENTIONS, TEXT
from drank.evaluation.execution import TRANSFORMERS, VLLM


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--text", "-t", multiple=True, help="A file, FILE,field=NAME, a corpus, or hub:org/name,subset=…,split=…; may be given again."
)
@click.option("--tasks", help="Tasks and groups of lm-evaluation-harness, embedded ones or YAML files, with commas between.")
@click.option("--throughput", is_flag=True, help="Time prefill and decoding too.")
@click.option("--engine", type=click.Choice([TRANSFORMERS, VLLM]), default=TRANSFORMERS, show_default=True, help="What runs it meanwhile.")
@click.option("--out", "-o", help="A folder to write the records to, as JSON.")
@click.option("--split", help="The split of a corpus that has several (default test).")
@click.option("--windows", type=int, help="The first so many windows of each text (default all).")
@click.option("--length", type=int, help="Tokens in a window (default 2048, or the model's context).")
@click.option("--batch", type=int, help="Windows (4) or items (16) run at once.")
@click.option("--limit", type=int, help="The first so many items of each task (default all).")
@click.option("--continuations", type=int, help="From how many beginnings of windows of each text the model goes on (default 8; 0: none).")
@click.option("--bos", type=click.Choice([AUTO, *CONVENTIONS]), default=AUTO, show_default=True, help="Which windows begin with BOS.")
@click.option("--seen", is_flag=True, help="Measure on text that a model was made on too (known by its hash: parts of it go unnoticed).")
@click.option("--card/--no-card", default=True, show_default=True, help="Write the numbers into the card of a model that drank compressed.")
@applied(COMPUTE)
def evaluate(
    models: tuple[str, ...], text: tuple[str, ...], tasks: str | None, throughput: bool, engine: str, out: str | None, **options: Any
) -> None:
    """Measure MODELS, dense or compressed, by drank or by others: perplexity, accuracy, throughput, side by side."""
    from pathlib import Path

    from drank.calls.evaluate import evaluate as call
    from drank.calls.measuring import faults_of
    from drank.calls.request import refused, source_of
    from drank.calls.texts import label

    names = [label(Path(model).name) or "model" for model in models]
    if out is not None and (twice := sorted({name for name in names if names.count(name) > 1})):
        raise click.UsageError(
            f"the records of several models would lie in {Path(out) / twice[0]}; measure them one by one, each with its --out"
        )
    if engine != TRANSFORMERS and not throughput:
        raise click.UsageError(f"--engine {engine} says what runs the models that are timed; ask for that too: --throughput")
    options["throughput"] = {"engine": engine} if throughput else False
    if wrong := [f"model {model}: {fault}" for model in models for fault in faults_of(source_of(model)[1])]:
        raise refused(wrong)  # before the models that stand in front of it are measured
    found = {}
    try:
        for model, name in zip(models, names, strict=True):
            place = out if out is None or len(models) == 1 else Path(out) / name
            found[model] = call(model, list(text) or None, tasks.split(",") if tasks else (), out=place, **options)
    finally:
        if found:  # also where a later model fails or somebody interrupts
            click.echo("\n".join(table_of(found)))


def table_of(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Records as lines: a row for each number, a column for each model, with intervals where there are some.

    Numbers of windows or prompts that begin otherwise than published are in rows of their own, which say so.
    """
    numbers: dict[tuple[str, str], dict[str, str]] = {}
    for model, records in found.items():
        for record in records.values():
            begun = "" if record.bos == TEXT else f" (bos: {record.bos})"
            for row in record.results:
                interval = f" [{_number(row.ci_low)}, {_number(row.ci_high)}]" if row.ci_low is not None else ""
                numbers.setdefault((row.dataset, row.metric + begun), {})[model] = _number(row.value) + interval
        size = next(iter(records.values())).size
        numbers.setdefault(("model", "parameters"), {})[model] = f"{size.parameters:,}"
        numbers.setdefault(("model", "bytes"), {})[model] = f"{size.bytes:,}"
    rows = [[f"{dataset} {metric}", *(row.get(model, "") for model in found)] for (dataset, metric), row in numbers.items()]
    cells = [["", *found], *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        yield "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]).rstrip()


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
