"""How the best model of each ratio is used: three lines of Python, after the command that makes it where the run does not keep it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from drank.corpora.beginnings import TEXT, convention_in
from drank.methods import METHODS, Method
from drank.reporting.names import method_name, percent
from drank.reporting.recipes import method_in
from drank.reporting.records import Record
from drank.reporting.report.links import MODEL, Links
from drank.reporting.tables.numbers import Numbers
from drank.runtime.grouping import AVERAGE
from drank.variants import base_of

NO_OPTIONS = ("title", "paper", "control", "compresses", "budgeted", "checkpoint", "calibration")
"""The fields of a method that are no options of the command."""

FLAGS = {"windows": "windows", "length": "length", "batch": "batch", "seed": "text-seed"}
"""What tells how much of a text is read, and which, and the option of the command for it."""

PRECISION = "float32"
"""In which the command runs and stores a model unless it is told otherwise."""

NOTHING_SAID: dict[str, Any] = {}


class Use(NamedTuple):
    """A model that is best at a ratio, by what, and the code that loads it.

    The `command` that makes it is empty where the run keeps it; `own` does the same to another model.
    """

    model: str
    ratio: str
    method: str
    why: str
    command: str
    code: str
    own: str


def uses(models: Sequence[Numbers], records: Sequence[Record], links: Links, settings: Mapping[str, Any]) -> list[Use]:
    """The best methods of each model and ratio, those that are best on as many texts all of them; `settings` are those of the run."""
    by_place = {(record.model, record.method, record.ratio): record for record in records}
    found = []
    for numbers in models:
        for ratio in numbers.ratios:
            for method, why in _best(numbers, ratio):
                folder = links.left(numbers.model, method, ratio).get(MODEL, "")
                command, made = ("", folder) if folder else making(by_place[numbers.model, method, ratio], settings)
                own = of_your_own(by_place[numbers.model, method, ratio], settings)
                found.append(Use(numbers.model, percent(ratio), method_name(method), why, command, loading(made), own))
    return found


def _best(numbers: Numbers, ratio: float) -> Iterator[tuple[str, str]]:
    """Who is best on most texts, and on how many; by the average accuracy where no perplexity was measured."""
    rankings = [numbers.ranking(ratio, corpus, "perplexity") for corpus in numbers.compared(ratio, "perplexity")]
    firsts = Counter(ranking[0][0].method for ranking in rankings)
    for method, wins in firsts.most_common():
        if wins == max(firsts.values()):
            yield method, f"lowest perplexity on {wins} of {firsts.total()} text{'s' if firsts.total() > 1 else ''}"
    by_accuracy = numbers.ranking(ratio, AVERAGE, "accuracy", low=False)
    if not firsts and by_accuracy:
        yield by_accuracy[0][0].method, "highest average accuracy"


def loading(folder: str) -> str:
    """The lines that load a model and its tokenizer from a folder."""
    place = json.dumps(folder, ensure_ascii=False)  # in double quotes, as people write them
    return (
        "import drank, transformers\n"
        f"model = transformers.AutoModelForCausalLM.from_pretrained({place})\n"
        f"tokenizer = transformers.AutoTokenizer.from_pretrained({place})"
    )


def making(record: Record, settings: Mapping[str, Any]) -> tuple[str, str]:
    """The command that makes the model of a record anew, and the folder that it makes.

    It is `drank compress` where that can be told the model and the text, else the run's own rule, without letting the model go again.
    """
    place, text = _model(settings, record.model), _text(record, settings)
    if place is None or text is None:
        kept = f"results/models/{record.model}/{record.method}/{record.ratio:g}"
        return f"drank run CONFIG.yaml --notemp {shlex.quote(kept)}", kept
    words, made = ["drank", "compress", *place, "--ratio", f"{record.ratio:g}"], f"{record.model}-{record.method}-{record.ratio:g}"
    return shlex.join([*words, *_method(record, settings), *text, *_precision(settings), "--out", made]), made


def of_your_own(record: Record, settings: Mapping[str, Any]) -> str:
    """The command that does to MODEL, on TEXT where the method reads any, what was done to the model of a record."""
    text = ["--text", "TEXT"] if "corpus" in (record.provenance["calibration"] or NOTHING_SAID) else []
    words = ["drank", "compress", "MODEL", "--ratio", f"{record.ratio:g}", *_method(record, settings), *text, *_precision(settings)]
    return shlex.join([*words, "--out", "smaller"])


def _precision(settings: Mapping[str, Any]) -> list[str]:
    """In which precision the run makes models, where the command must be told."""
    precision = str(settings.get("compute", NOTHING_SAID).get("dtype", PRECISION))
    return ["--dtype", precision] if precision != PRECISION else []


def _model(settings: Mapping[str, Any], model: str) -> list[str] | None:
    """The model as the command takes it; None for one that it cannot be given."""
    source = settings.get("models", NOTHING_SAID).get(model, NOTHING_SAID)
    revision = ["--revision", str(source["revision"])] if source.get("revision") else []
    return next(([str(source[key]), *revision] for key in ("embedded", "path", "gguf", "hub") if key in source), None)


def _method(record: Record, settings: Mapping[str, Any]) -> list[str]:
    """The method of a record as that of the table which it is made from, and the options that differ."""
    source = settings.get("models", NOTHING_SAID).get(record.model, NOTHING_SAID)
    label = base_of(record.method)
    entry = {**(settings.get("methods", NOTHING_SAID).get(label) or NOTHING_SAID)}
    entry |= source.get("methods", NOTHING_SAID).get(label, NOTHING_SAID)
    base = str(entry.get("base", label))
    base = base if base in METHODS else "svd"
    method, known = method_in(record.provenance["method"]), METHODS[base].at(record.ratio)
    method = replace(method, plan=str(entry["plan"])).at(record.ratio) if method.plan and entry.get("plan") else method  # where it lies
    words = ["--method", base]
    for field in fields(Method):
        value = getattr(method, field.name)
        if field.name in NO_OPTIONS or value == getattr(known, field.name):
            continue
        flag = field.name.replace("_", "-")
        words += (
            [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", "none" if value is None else f"{value}"]
        )
    return words


def _text(record: Record, settings: Mapping[str, Any]) -> list[str] | None:
    """The text of a record as the command takes it, nothing where none was read; None for one that it cannot be given, or several."""
    facts, making = record.provenance["calibration"] or NOTHING_SAID, record.provenance["making"] or NOTHING_SAID
    if facts.get("search") or (making.get("texts") or NOTHING_SAID).get("finetune"):
        return None
    if "corpus" not in facts:
        return []
    entry, split = settings.get("corpora", NOTHING_SAID).get(facts["corpus"], NOTHING_SAID), str(facts["split"])
    if set(entry) == {"embedded"}:
        texts = [str(entry["embedded"])]
    elif set(entry) == {"files"} and split in entry["files"]:
        files = entry["files"][split]
        texts = [str(file) for file in (files if isinstance(files, list) else [files])]
    else:
        return None
    words = [word for text in texts for word in ("--text", text)] + ["--split", split]
    words += [word for name, flag in FLAGS.items() if facts.get(name) is not None for word in (f"--{flag}", f"{facts[name]}")]
    windows = facts.get("windows")
    if (first := facts.get("gradient_windows", windows)) != windows:
        words += ["--curvature-windows", f"{first}"]  # of which the facts of a backward pass tell under this name alone
    begun = convention_in(facts)
    return words + (["--bos", begun] if begun != TEXT or record.provenance.get("needs_bos") else [])
