"""What a call that measures is asked for, as the configuration that would ask a run for the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drank.calls.fetching import fetch
from drank.calls.request import LENGTH, context, refused, require
from drank.calls.texts import Text, corpus_of, label_of, listed
from drank.config import ConfigError, read_schema, with_beginnings, with_defaults
from drank.config.beginnings import beginning_problems
from drank.config.checks import problems_in
from drank.config.engines import faults_of_timing
from drank.evaluation.execution import VLLM
from drank.evaluation.served.interpreter import interpreter
from drank.models.sources import problems_of
from drank.runtime.home import expanded
from drank.runtime.shipped import SCHEMA
from drank.testbed.tasks import TASKS


def measuring(
    name: str,
    source: Mapping[str, Any],
    text: Text | Sequence[Text] | None,
    split: str | None,
    tasks: str | Sequence[str] | Mapping[str, Any],
    throughput: bool | Mapping[str, Any],
    compute: Mapping[str, Any],
    folder: Path,
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The checked configuration that measures one model of whatever kind, each text as a corpus, and by corpus the split to read.

    `options` are `windows`, `length`, `batch`, `limit`, `continuations`, `bos` and `seen`, as `drank.evaluate` takes them.

    Raises ValueError with everything that is wrong: also where nothing is asked for, for a directory that holds no model, and for windows
    past the model's context. ImportError names packages that are missing, and RuntimeError is for what the hub does not give.
    """
    if "hub" in source:
        fetch({"models": {name: source}})
    texts, specs = dict(corpora_of(listed(text), split, folder)), _specs(tasks)
    bos = {"bos": options["bos"]}
    own = bos | ({} if options["batch"] is None else {"batch": options["batch"]})
    length = min(LENGTH, context(source) or LENGTH) if options["length"] is None else options["length"]
    cut = {"windows": options["windows"], "length": length, "seen": options["seen"]}
    config: dict[str, Any] = {"models": {name: source}, "methods": {"dense": {}}, "compute": compute, "tasks": specs}
    config |= {"corpora": {label: entry for label, (entry, _) in texts.items()}, "perplexity": {"corpora": list(texts), **cut, **own}}
    config["zeroshot"] = {"tasks": list(specs), "limit": options["limit"], **own}
    if options["continuations"] is not None:
        config["perplexity"]["continuations"] = {"prompts": options["continuations"]}
    if throughput:
        config["throughput"] = {**bos, **({} if throughput is True else throughput)}
    splits = {label: read for label, (_, read) in texts.items()}
    return _checked(config, name, splits), splits


def faults_of(source: Mapping[str, Any]) -> list[str]:
    """What is wrong with a model that is to be measured: of any family, so long as transformers loads it."""
    return [problem for problem in problems_of(source) if "model_type" not in problem]


def corpora_of(texts: Sequence[Text], split: str | None, folder: Path) -> Iterator[tuple[str, tuple[dict[str, Any], str]]]:
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
            found[Path(task).stem] = {"yaml": str(expanded(task).resolve())}
        else:
            found[task] = {"harness": task}
    return found


def _checked(config: dict[str, Any], model: str, splits: Mapping[str, str]) -> dict[str, Any]:
    """A configuration that measures one model with its defaults, as that model reads it; what it names on the hub is fetched."""
    try:
        config = with_defaults(config, read_schema(SCHEMA))
    except ConfigError as error:
        raise refused(error.problems) from None
    require(config)
    source, known = config["models"][model], context(config["models"][model])
    problems = faults_of(source)
    for corpus, split in splits.items():
        one = {**config, "models": {}, "tasks": {}, "zeroshot": {"tasks": []}, "methods": {}}
        one |= {"corpora": {corpus: config["corpora"][corpus]}, "perplexity": {**config["perplexity"], "corpora": [corpus], "split": split}}
        problems += problems_in(one, one)
    problems += problems_in({**config, "models": {}, "perplexity": {"corpora": []}}, config)
    problems += beginning_problems(config, model)
    lengths = {"length": config["perplexity"]["length"]} if splits else {}
    if timed := config.get("throughput"):
        lengths["prompt + generate"] = timed["prompt"] + timed["generate"]
    problems += [
        f"{what} is {count}, past the model's context of {known} tokens" for what, count in lengths.items() if known and count > known
    ]
    problems += faults_of_timing(config, model) if timed else []
    if not splits and not config["tasks"] and not timed:
        problems.append("nothing is to be measured: give text, tasks or throughput")
    if problems:
        raise refused(list(dict.fromkeys(problems)))
    if config.get("throughput", {}).get("engine") == VLLM:
        interpreter()
    fetch(config)
    return with_beginnings(config, model)
