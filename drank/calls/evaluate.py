"""Measure one model: perplexity, accuracy on tasks and throughput, what a run does for a cell of its table, in one call."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.calls.fetching import fetch
from drank.calls.given import given
from drank.calls.request import LENGTH, asked_to_measure, compute_of, context
from drank.calls.tasks import Task, compute_params, source_task, text_tasks
from drank.calls.texts import Text, corpus_of, label_of, listed
from drank.calls.work import Work
from drank.compression.making import making_of
from drank.config.chain import tokens_at
from drank.corpora.installed import package_versions
from drank.evaluation.zeroshot import files_of
from drank.methods import METHODS
from drank.models.card.writing import update_card
from drank.models.description import is_compressed
from drank.models.documents import MAKING, PLAN
from drank.models.sources import directory_of
from drank.reporting.records import Record
from drank.runtime.files import read_json
from drank.runtime.telling import telling
from drank.testbed.tasks import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

DOCS = {"embedded": "python-docs"}
"""The corpus out of whose held-out documents embedded tasks are made."""


def evaluate(
    model: str | Path | PreTrainedModel,
    text: Text | Sequence[Text] | None = None,
    tasks: str | Sequence[str] | Mapping[str, Any] = (),
    throughput: bool | Mapping[str, int] = False,
    out: str | Path | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    revision: str | None = None,
    split: str | None = None,
    windows: int | None = None,
    length: int | None = None,
    batch: int | None = None,
    limit: int | None = None,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    card: bool = True,
) -> dict[str, Record]:
    """What is left of a model, or what it was: a record for each kind of measurement asked for, by name.

    Args:
        model: a directory, dense or compressed, by drank or by others; an id of the hub, a shipped model, or a loaded one.
        text: what perplexity is measured on, each text on its own; as `drank.compress` takes it.
        tasks: names of tasks of lm-evaluation-harness, of embedded ones, paths of YAML definitions, or a mapping as under `tasks` in a
            configuration. They need `pip install 'drank[pipeline]'`.
        throughput: whether prefill and decoding are timed, or how: `batch`, `prompt`, `generate` and `repeats`.
        out: a folder to write the records to, `perplexity.json`, `zeroshot.json` and `throughput.json`.
        tokenizer: that of a loaded model.
        revision: of a model on the hub.
        split: of the corpora, where they have several; `test` unless given.
        windows: the first so many windows of each text; all unless given.
        length: tokens of a window: 2048, or the model's context.
        batch: windows (4) or items (16) run at once.
        limit: the first so many items of each task.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        dtype: in which the model runs.
        threads: of the processor; all unless given.
        card: whether the numbers go into the model card of a directory that drank compressed.

    Raises ValueError with everything that is wrong, or where nothing is asked for, before the work starts; then what the steps raise.
    """
    if out is not None and Path(out).is_file():
        raise FileExistsError(f"{out} is a file, and records are written to a folder; name another")
    with tempfile.TemporaryDirectory(prefix="drank-") as temporary:
        folder = Path(temporary)
        place = Work(folder)
        with place.held():
            name, source = given(model, tokenizer, revision, folder)
            if "hub" in source:
                fetch({"models": {name: source}})
            config: dict[str, Any] = {"models": {name: source}, "methods": {"dense": {}}, "compute": compute_of(device, dtype, threads)}
            entries = dict(_corpora(listed(text), split, folder))
            config["corpora"] = {label: entry for label, (entry, _) in entries.items()}
            most = min(LENGTH, context(source) or LENGTH)
            own = {} if batch is None else {"batch": batch}
            config["perplexity"] = {"corpora": list(entries), "length": most if length is None else length, "windows": windows, **own}
            config["tasks"] = _specs(tasks)
            config["zeroshot"] = {"tasks": list(config["tasks"]), "limit": limit, **own}
            if throughput:
                config["throughput"] = {} if throughput is True else dict(throughput)
            config = asked_to_measure(config, name, {label: read for label, (_, read) in entries.items()})
            records = Path(out) if out is not None else folder / "records"
            places = {kind: records / f"{kind}.json" for kind in ("perplexity", "zeroshot")}
            outputs: dict[str, Any] = {"evaluate": places, "throughput": folder / "timed"}
            splits = {label: read for label, (_, read) in entries.items()}
            place.carry_out(config, list(_tasks(config, name, directory_of(source), splits)), outputs)
            found = {kind: Record.read(path) for kind, path in places.items() if path.is_file() and _wanted(config, kind)}
            for path in outputs["throughput"].glob("*.json") if throughput else ():
                found["throughput"] = Record.read(path)
                found["throughput"].write(records / "throughput.json")
            if card and isinstance(model, (str, Path)) and "path" in source and (Path(source["path"]) / MAKING).is_file():
                _note(source["path"], found)
            return found


def _note(directory: str, found: Mapping[str, Record]) -> None:
    """Write the numbers into the card; where that cannot be, say so, for they are there all the same."""
    try:
        update_card(directory, [record.to_dict() for record in found.values()], keep=True)
    except (OSError, ValueError, KeyError) as error:
        with telling("drank"):
            log.warning("the numbers are not in the card of %s (%r); card=False (--no-card) leaves it as it is", directory, error)


def _wanted(config: Mapping[str, Any], kind: str) -> bool:
    return bool(config["perplexity"]["corpora"] if kind == "perplexity" else config["zeroshot"]["tasks"])


def _corpora(texts: Sequence[Text], split: str | None, folder: Path) -> Iterator[tuple[str, tuple[dict[str, Any], str]]]:
    """Each text as a corpus of its own, by a name of its own, with the split to read."""
    names: set[str] = set()
    for number, text in enumerate(texts, start=1):
        name = label_of(text, number)
        while name in names:
            name = f"{name}-{number}"
        names.add(name)
        yield name, corpus_of([text], split, "test", folder)


def _specs(tasks: str | Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """The entries under `tasks` that these names mean."""
    if isinstance(tasks, Mapping):
        return {name: dict(spec) for name, spec in tasks.items()}
    found: dict[str, Any] = {}
    for task in [tasks] if isinstance(tasks, str) else tasks:
        if task in TASKS:
            found[task] = {"embedded": task}
        elif task.endswith((".yaml", ".yml")):
            found[Path(task).stem] = {"yaml": str(Path(task).expanduser().resolve())}
        else:
            found[task] = {"harness": task}
    return found


def _about(directory: Path) -> dict[str, str]:
    """Model, method and ratio of a directory that drank compressed, from its plan or its making; empty for any other."""
    if not is_compressed(read_json(directory / "config.json").get("quantization_config")):
        return {}
    if (directory / PLAN).is_file():
        plan = Plan.read(directory / PLAN)
        return {"model": plan.model, "method": plan.method, "ratio": f"{plan.ratio:g}"}
    made = making_of(directory)
    if made is None:
        raise ValueError(f"{directory} is compressed by drank and has neither {PLAN} nor {MAKING} to say how; copy one of them there")
    return {"model": made["model"], "method": made["label"], "ratio": f"{made['ratio']:g}"}


def _tasks(config: Mapping[str, Any], name: str, directory: Path, splits: Mapping[str, str]) -> Iterator[Task]:
    specs, compute = config["tasks"], compute_params(config)
    embedded = [task for task, spec in specs.items() if "embedded" in spec]
    yield source_task(config, name)
    yield from text_tasks(config, name, {(corpus, splits[corpus]): None for corpus in config["perplexity"]["corpora"]})
    if embedded:
        docs = "results/corpora/embedded-python-docs.parquet"
        yield Task("corpus", docs, params={"source": DOCS}, names={"corpus": "python-docs"}, outside=package_versions())
        for task in embedded:
            yield Task("task", f"results/tasks/{task}.jsonl", {"corpus": docs}, {"name": specs[task]["embedded"]}, {"task": task})
    names = _about(directory) or {"model": name, "method": "dense", "ratio": "0"}
    dense = METHODS["dense"].settings() if names["method"] == "dense" else None
    model = f"results/sources/{name}.json"
    if splits or specs:
        tokens = [tokens_at(name, {"corpus": corpus, "split": splits[corpus]}) for corpus in config["perplexity"]["corpora"]]
        files = {"model": model, "tokens": tokens, "items": {task: f"results/tasks/{task}.jsonl" for task in embedded}}
        params = {"names": names, "tasks": specs, "data": [path for spec in specs.values() for path in files_of(spec)], "dense": dense}
        params |= {"perplexity": config["perplexity"], "zeroshot": config["zeroshot"], **compute}
        yield Task("evaluate", "results/evaluation", files, params, names)
    if "throughput" in config:
        params = {"names": {key: names[key] for key in ("model", "ratio")}, "throughput": config["throughput"], "dense": dense, **compute}
        yield Task("throughput", "results/throughput", {"models": {names["method"]: model}}, params, names)
