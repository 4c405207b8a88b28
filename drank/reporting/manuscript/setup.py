"""The experimental setup in words, from the records: models, texts, tasks, methods and machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from drank.reporting.manuscript.references import cite
from drank.reporting.names import escape, is_dense, listed, method_name, number, percent, unique
from drank.reporting.recipes import texts
from drank.reporting.records import Record
from drank.reporting.report.beginnings import beginnings
from drank.reporting.report.conditions import facts
from drank.reporting.report.method_table import methods
from drank.runtime.grouping import AVERAGE, in_group
from drank.variants import base_of, is_variant

Told = dict[str, dict[str, list[str]]]
"""By data set what is told of it, each with the models of which it was measured so."""

SPLITS = ("train", "validation", "test")
"""What splits are called, also where no other text of their corpus was read that would tell the corpus."""


def setup(records: Sequence[Record]) -> list[str]:
    """The paragraphs in LaTeX, those alone that the records have something to say to."""
    return [text for tell in (_models, _texts, _beginnings, _tasks, _speed, _methods, _machine) for text in tell(records)]


def _models(records: Sequence[Record]) -> Iterator[str]:
    """The models and the ratios at which they were compressed."""
    sizes = {record.model: record.size.parameters for record in records if is_dense(record.method)}
    told = [
        escape(f"{model} ({number(sizes[model] / 1e6)} million parameters)" if model in sizes else model)
        for model in unique(r.model for r in records)
    ]
    ratios = sorted({record.ratio for record in records if record.ratio > 0 and not record.provenance.get("checkpoint")})
    removed = (
        f", with {escape(listed([percent(ratio) for ratio in ratios]))} of the parameters of the compressed projections removed"
        if ratios
        else ""
    )
    yield f"\\paragraph{{Models.}} We compress {listed(told)}{removed}. A ratio counts what the saved tensors lack, shared bases once."


def _texts(records: Sequence[Record]) -> Iterator[str]:
    """The corpora of perplexity, and the calibration texts."""
    told: Told = {}
    corpora = {row.dataset for record in records if record.kind == "perplexity" for row in record.results}
    corpora |= {own["corpus"] for record in records if "corpus" in (own := record.provenance["calibration"] or {})}
    for record in records:
        for row in record.results if record.kind == "perplexity" else ():
            if row.metric == "perplexity":
                settings, windows = record.provenance["settings"], len(record.detail[row.dataset]["window_loss"])
                length = f" of {settings['length']}" if "length" in settings else ""
                split = f", {part} text" if (part := _split(row.dataset, corpora, settings)) else ""
                _add(told, row.dataset, f"{_thousands(row.count or 0)} tokens in {windows} windows{length}{split}", record.model)
    if told:
        yield (
            f"\\paragraph{{Perplexity}} is measured on {_alike(told)}, in windows without overlap, with the loss in float32 "
            "and its mean over all tokens. "
            "Intervals of 95\\,\\% are over windows, of differences over the same windows."
        )
    read = unique(text for record in records if (text := texts(record.provenance)))
    if read:
        yield f"\\paragraph{{Calibration.}} Methods that read text read {'; or '.join(escape(text) for text in read)}."


def _split(text: str, corpora: Collection[str], settings: Mapping[str, Any]) -> str:
    """The split that a text is of: of `CORPUS.SPLIT` the second, where that is such a name and no corpus, else that of the measurement."""
    corpus, _, split = text.rpartition(".")
    return split if corpus in corpora or (corpus and split in SPLITS) else str(settings.get("split", ""))


def _beginnings(records: Sequence[Record]) -> Iterator[str]:
    """How windows and prompts began, where that is not as published, whatever they were read for."""
    if found := beginnings(records):
        yield f"\\paragraph{{How texts begin.}} {escape(' '.join(found))}"


def _tasks(records: Sequence[Record]) -> Iterator[str]:
    """The tasks, with their items."""
    told: Told = {}
    for record in records:
        for row in record.results if record.kind == "zeroshot" else ():
            if row.metric == "accuracy" and row.dataset != AVERAGE and not in_group(row.dataset):
                _add(told, row.dataset, f"{_thousands(row.count or 0)} items", record.model)
    if told:
        yield f"\\paragraph{{Zero-shot accuracy}} is measured on {_alike(told)}."


def _add(told: Told, name: str, text: str, model: str) -> None:
    """Note what is told of a data set as it was measured of a model: a text has other tokens by another tokenizer."""
    models = told.setdefault(name, {}).setdefault(text, [])
    models += [] if model in models else [model]


def _alike(told: Told) -> str:
    """Names with what is told of them, once for those of which it is the same; with the models where it is not the same for all."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, by_text in told.items():
        of = tuple((text, f" for {listed(models)}" if len(by_text) > 1 else "") for text, models in by_text.items())
        groups.setdefault(of, []).append(name)
    parts = []
    for of, names in groups.items():
        each = " each" if len(names) > 1 else ""
        parts.append(f"{listed(names)} ({'; '.join(f'{text}{each}{whose}' for text, whose in of)})")
    return escape("; ".join(parts))


def _speed(records: Sequence[Record]) -> Iterator[str]:
    """How throughput was measured."""
    timed = [record for record in records if record.kind == "throughput"]
    told = [{name: value if isinstance(value, list) else [value] for name, value in one.provenance["settings"].items()} for one in timed]
    settings = unique(", ".join(f"{name} {listed([*map(str, values)])}" for name, values in one.items()) for one in told)
    if timed:
        yield f"\\paragraph{{Throughput}} is the median over repeats{escape(f' ({listed(settings)})' if any(settings) else '')}."


def _methods(records: Sequence[Record]) -> Iterator[str]:
    """Every method with its settings, a variant only where the method itself was not run."""
    known = {record.method for record in records}
    shown = [record for record in records if not is_variant(record.method) or base_of(record.method) not in known]
    papers = {method_name(record.method): cite(base_of(record.method)) for record in shown}
    rows = {row[:5]: (model, row) for model, found in methods(shown, {}) for row in found}
    lines = []
    for model, row in rows.values():
        again = sum(other.method == row.method for _, other in rows.values()) > 1
        parts = [
            *(("ranks", row.ranks), ("reads", row.reads), ("then", row.follows.replace("–", "nothing"))),
            ("from", "" if papers[row.method] else row.source),
        ]
        said = "; ".join(f"{word}: {text}" for word, text in parts if text)
        if said:
            lines.append(f"  \\item[{escape(row.method)}{escape(f' ({model})') if again else ''}]{papers[row.method]} {escape(said)}")
    if lines:
        start = "\\paragraph{Methods.} How each allocates ranks, what it reads beside the weights, and what follows:"
        yield "\n".join([start, "\\begin{description}\\itemsep=0pt\\parskip=0pt", *lines, "\\end{description}"])


def _machine(records: Sequence[Record]) -> Iterator[str]:
    """Machine and software."""
    found = {fact.name: listed(fact.values) for fact in facts(records)}
    machine = [f"{name} {found[name]}" for name in ("processor", "memory", "GPU", "device", "threads") if name in found]
    known = [name for name in ("drank", "git", "python", "torch", "transformers", "lm_eval", "numpy") if name in found]
    if machine:
        software = ", ".join(f"{name} {found[name]}" for name in known)
        yield f"\\paragraph{{Machine and software.}} We measured on this machine: {escape('; '.join(machine))}; with {escape(software)}."


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")
