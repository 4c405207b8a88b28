"""Every check of a configuration that fits the schema: names, files, budgets, tasks and window lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drank.allocation.allocate import check_budget
from drank.config.artefact_checks import artefact_problems
from drank.config.beginnings import beginning_problems
from drank.config.checkpoints import checkpoint_problems, unreadable
from drank.config.engines import engine_problems
from drank.config.measurable import faults_of, splits_in
from drank.config.method_entries import method_of
from drank.config.plans import plan_problems
from drank.config.resolved import entries_for, finetune_options, ratios_of, refusals_for, search_options
from drank.config.roundings import unfit
from drank.config.shapes import shape_problems
from drank.corpora import listed
from drank.corpora.text_files import problems_with
from drank.evaluation.zeroshot import check_tasks
from drank.methods import Method
from drank.models.families import context_of, family_of, kind_of
from drank.models.soundness import packed
from drank.models.sources import SourceError, directory_of, problems_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint
from drank.runtime.suggestions import near

TEXT = ("corpus", "split", "windows", "length", "seed", "batch")
"""What the options of a text must say."""


def problems_in(config: Mapping[str, Any], written: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """All that is wrong with a configuration that fits the schema, for work in a `folder`; `written` has what does not fit, to refer to."""
    problems = [
        f"ratios: {ratio!r} has more than six digits, and paths name ratios by six"
        for ratio in config["ratios"]
        if float(f"{ratio:g}") != ratio
    ]
    windows, first = (config.get("calibration", {}).get(key) for key in ("windows", "curvature_windows"))
    if first and windows and first > windows:
        problems.append(f"calibration.curvature_windows is {first}, and calibration.windows, of which these are the first, is {windows}")
    problems += [*_alike(written), *_unkept(config), *_left_out(config, written), *_corpus_problems(config)]
    problems += [*_reference_problems(config, written), *check_tasks(config["tasks"]), *engine_problems(config)]
    for model, source in config["models"].items():
        faults = [*_override_problems(source, written["methods"]), *_model_problems(config, model, written)]
        faults += [*checkpoint_problems(config, model), *shape_problems(config, model)]
        problems += [f"models.{model}: {problem}" for problem in faults]
    amiss = {name: list(faults_of(config, name, entry)) for name, entry in config["artefacts"].items()}
    rest = {name: entry for name, entry in config["artefacts"].items() if not amiss[name]}
    plans = plan_problems({**config, "artefacts": rest}, folder)
    lost = any(unreadable(config, written, model) for model in config["models"])
    if not (problems or lost) and (rest or not config["artefacts"]):  # which runs these are is known only of methods that are right
        problems += artefact_problems({**config, "artefacts": rest})
    problems += [*plans, *(f"artefacts.{name}: {problem}" for name, found in amiss.items() for problem in found)]
    return list(dict.fromkeys(problems))


def _alike(written: Mapping[str, Any]) -> Iterator[str]:
    """Labels that differ by case alone: on some file systems their results would be one file."""
    for part in ("models", "methods", "corpora", "tasks"):
        first: dict[str, str] = {}
        for label in written[part]:
            if (other := first.setdefault(label.casefold(), label)) != label:
                yield f"{part}: {other} and {label} differ by case alone, and some file systems keep one file for both; rename one"


def _unkept(config: Mapping[str, Any]) -> Iterator[str]:
    """A run of which nothing would be left."""
    measured = (config["perplexity"]["corpora"], config["zeroshot"]["tasks"], "throughput" in config, config["artefacts"])
    if config["keep"] == "nothing" and not any(measured):
        yield "keep: nothing of a run that measures nothing would leave nothing; keep its models, or measure something"


def _left_out(config: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    """What a configuration has left out although a method of one of its models reads it; a method that is wrong is told elsewhere."""
    methods = list(_methods_that_work(config))
    budgeted = dict.fromkeys(label for label, method in methods if method.budgeted)
    if budgeted and not written["ratios"]:
        yield f"ratios: empty, and {', '.join(budgeted)} compress to a ratio; add some, such as `ratios: [0.2]`"
    working = [(label, method.at(ratio)) for label, method in methods for ratio in ratios_of(config, method) or [1.0]]
    calibrated = dict.fromkeys(label for label, method in working if method.reads_calibration)
    example = next(iter(config["corpora"]), "NAME")
    if "calibration" in written:
        return
    if calibrated:
        yield f"calibration: left out, and {', '.join(calibrated)} read it; add its text, such as `calibration: {{corpus: {example}}}`"
        return
    others = {
        "search": (search_options(config), lambda method: method.searches),
        "finetune": (finetune_options(config), lambda method: method.finetune_from is not None),
    }
    for part, (options, reads) in others.items():
        readers = dict.fromkeys(label for label, method in working if reads(method))
        if readers and (missing := [key for key in TEXT if key not in options]):
            yield f"{part}: {', '.join(readers)} read it, and without a calibration it must say {', '.join(missing)} itself"


def _methods_that_work(config: Mapping[str, Any]) -> Iterator[tuple[str, Method]]:
    """The methods of all models, by label, without those that are wrong or cannot apply to a model."""
    for model, source in config["models"].items():
        for label, options in config["methods"].items():
            with suppress(ValueError, TypeError, AttributeError):
                if label not in refusals_for({**config, "methods": {label: options}}, model):
                    yield label, method_of(label, {**options, **source["methods"].get(label, {})})


def _corpus_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for name, source in config["corpora"].items():
        for split, paths in source.get("files", {}).items():
            places = [Path(path).absolute() for path in listed(paths)]  # to resolve a loop of links would raise
            for path, place in zip(listed(paths), places, strict=True):
                if places.count(place) > 1:
                    yield f"corpora.{name}.files.{split}: {path} is listed twice and would be read twice; name every file once"
                for problem in problems_with(path, source.get("field")):
                    hint = " (relative paths start at the configuration file's folder)" if problem.endswith("does not exist") else ""
                    yield f"corpora.{name}.files.{split}: {problem}{hint}"


def _reference_problems(config: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    texts = {"calibration": config["calibration"]} if "calibration" in config else {}
    own = {"search": search_options(config), "finetune": finetune_options(config)}
    texts |= {part: text for part, text in own.items() if any(config[part][key] and key in text for key in ("corpus", "split"))}
    texts = {part: text for part, text in texts.items() if {"corpus", "split"} <= text.keys()}
    corpora, wanted = written["corpora"], [(f"{part}.corpus", text["corpus"], text["split"]) for part, text in texts.items()]
    wanted += [("perplexity.corpora", corpus, config["perplexity"]["split"]) for corpus in config["perplexity"]["corpora"]]
    for place, corpus, split in wanted:
        if corpus not in corpora:
            yield f"{place}: corpus {corpus!r} is not one of corpora{near(corpus, corpora)}: {', '.join(corpora)}"
        elif corpus in config["corpora"] and split not in splits_in(corpora[corpus]):
            yield f"{place}: corpus {corpus!r} has no split {split!r}, only {', '.join(splits_in(corpora[corpus]))}"
    for task in config["zeroshot"]["tasks"]:
        if task not in written["tasks"]:
            yield f"zeroshot.tasks: task {task!r} is not one of tasks{near(task, written['tasks'])}: {', '.join(written['tasks'])}"


def _override_problems(source: Mapping[str, Any], methods: Mapping[str, Any]) -> Iterator[str]:
    for label in source["methods"]:
        if label not in methods:
            yield f"methods.{label} is not one of methods{near(label, methods)}: {', '.join(methods)}"


def _model_problems(config: Mapping[str, Any], model: str, written: Mapping[str, Any]) -> Iterator[str]:
    source, methods, lost = config["models"][model], {}, unreadable(config, written, model)
    for label, options in entries_for(config, model).items():
        try:
            if label not in lost:
                methods[label] = method_of(label, options)
        except (ValueError, TypeError) as error:
            yield str(error)
    faults = problems_of(source)
    yield from faults
    if any(method.compresses or rounds(method.checkpoint) for method in methods.values()) and (otherwise := _stored_otherwise(source)):
        yield from otherwise
        return
    try:
        checkpoint = Checkpoint(directory_of(source))
        layers, context = checkpoint.layers, context_of(checkpoint.config)
    except (SourceError, OSError, KeyError, ValueError, TypeError):
        return  # a hub model not fetched yet, or a directory whose fault problems_of has told
    yield from beginning_problems(config, model)
    read = ["search", "finetune", *(["calibration"] if "calibration" in config else [])]
    read += ["perplexity"] if config["perplexity"]["corpora"] else []
    parts = {part: config[part]["length"] for part in read}
    lengths = {f"{part}.length": length for part, length in parts.items() if length}
    lengths |= {"throughput.prompt + generate": timed["prompt"] + timed["generate"]} if (timed := config.get("throughput")) else {}
    yield from (
        f"{place} is {length}, past the model's context of {context} tokens"
        for place, length in lengths.items()
        if context and length > context
    )
    if faults or not any(checkpoint.directory.glob("*.safetensors")):
        return  # a hub model of which an interrupted `prefetch` left no weights yet
    kinds = {kind_of(role) for role in family_of(checkpoint.config).roles}
    refused = {label: reason for label, method in methods.items() if (reason := method.refusal(kinds, layers))} | unfit(source, methods)
    if methods and len(refused) == len(methods):
        yield f"no method applies: {'; '.join(f'{label} ({reason})' for label, reason in refused.items())}"
    for label, method in methods.items():
        if label not in refused:
            yield from _budget_problems(label, method, checkpoint, config["ratios"])


def _stored_otherwise(source: Mapping[str, Any]) -> list[str]:
    """Why the weights of a model are no matrices that can be decomposed; nothing where the model is not here, or not whole."""
    with suppress(SourceError, OSError, ValueError):
        return list(packed(directory_of(source)))
    return []


def _budget_problems(label: str, method: Method, checkpoint: Checkpoint, ratios: list[float]) -> Iterator[str]:
    for ratio in ratios if method.compresses and method.budgeted else ():
        try:
            check_budget(checkpoint.shapes(method.group), ratio, method.ranking())
        except ValueError as error:  # too small a budget, tensors that are not there, layers of different shapes
            yield f"method {label}: {error}"
