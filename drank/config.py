"""The configuration: its schema with defaults, and every check that can be made before any work starts, reported all at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from drank.allocators import check_budget
from drank.corpora.docstrings import EMBEDDED
from drank.methods import Method, method_of, near
from drank.sources import Checkpoint, SourceError, directory_of, problems_of
from drank.zeroshot import check_tasks


class ConfigError(ValueError):
    """A configuration that cannot be run, with everything that is wrong with it."""


def with_defaults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of its schema filled in.

    Raises ConfigError with every offender against the schema, and with what `check` finds in the parts that fit it.
    """
    filled = copy.deepcopy(dict(config))
    _fill(filled, schema, schema)
    problems = sorted(_schema_problems(filled, schema))
    if problems:
        rest = _fitting_parts(filled, schema)
        raise _error(problems if rest is None else [*problems, *_problems(rest, filled)])
    return filled


def read_schema(path: str | Path) -> dict[str, Any]:
    """The JSON schema in a YAML file."""
    return yaml.safe_load(Path(path).read_text("utf-8"))


def _error(problems: list[str]) -> ConfigError:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return ConfigError(f"the configuration has {count} (config/README.md explains every key):\n  - " + "\n  - ".join(problems))


def _fill(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            value.setdefault(key, copy.deepcopy(part["default"]))
        if key in value:
            _fill(value[key], part, root)
    if isinstance(schema.get("additionalProperties"), dict):
        for key in value.keys() - schema.get("properties", {}).keys():
            _fill(value[key], schema["additionalProperties"], root)


def _schema_problems(config: dict[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(config):
        place = ".".join(map(str, error.absolute_path)) or "top level"
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            yield from (f"{place}: key {key!r} is unknown{near(key, known)}" for key in error.instance.keys() - known.keys())
        elif error.validator == "oneOf":
            choices = [" and ".join(choice["required"]) for choice in error.schema["oneOf"]]
            yield f"{place}: needs exactly one of {', '.join(choices)}"
        elif place.startswith("ratios."):
            yield f"{place}: {error.instance!r} is no ratio: the share of parameters to remove, between 0 and 1, such as 0.2 (20 %)"
        else:
            yield f"{place}: {error.message}"


def _fitting_parts(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy where the defaults replace what breaks the schema; None where a whole section would be missing."""
    config = copy.deepcopy(config)
    validator = jsonschema.Draft202012Validator(schema)
    while True:
        errors = (e for e in validator.iter_errors(config) if e.validator not in ("minItems", "minProperties"))
        error = next(errors, None)
        if error is None:
            _fill(config, schema, schema)
            return config
        if error.validator == "additionalProperties":
            del error.instance[next(key for key in error.instance if key not in error.schema["properties"])]
        elif error.validator == "propertyNames" or not error.absolute_path:
            return None
        else:
            *parents, last = error.absolute_path
            node: Any = config
            for key in parents:
                node = node[key]
            del node[last]


def methods_for(config: Mapping[str, Any], model: str) -> dict[str, Method]:
    """The methods of a run as they apply to one model, by label, in the configuration's order."""
    changes = config["models"][model]["methods"]
    return {label: method_of(label, {**options, **changes.get(label, {})}) for label, options in config["methods"].items()}


def check(config: Mapping[str, Any]) -> None:
    """Raise ConfigError with everything that would fail later: names, files, groups, budgets, tasks and window lengths."""
    problems = _problems(config, config)
    if problems:
        raise _error(problems)


def _problems(config: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a configuration that fits the schema; `written` has the entries that do not, which may be referred to."""
    problems = [
        f"ratios: {ratio!r} has more than six digits, and paths name ratios by six"
        for ratio in config["ratios"]
        if float(f"{ratio:g}") != ratio
    ]
    problems += [*_corpus_problems(config), *_reference_problems(config, written), *check_tasks(config["tasks"])]
    for model, source in config["models"].items():
        faults = [*_override_problems(source, written["methods"]), *_model_problems(config, source)]
        problems += [f"models.{model}: {problem}" for problem in faults]
    return list(dict.fromkeys(problems))


def _corpus_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for name, source in config["corpora"].items():
        for split, paths in source.get("files", {}).items():
            for path in [paths] if isinstance(paths, str) else paths:
                if not Path(path).is_file():
                    yield f"corpora.{name}.files.{split}: {path} does not exist (paths are relative to {Path.cwd()})"


def _splits(source: Mapping[str, Any]) -> list[str]:
    if "embedded" in source:
        return ["train", "validation", "test"] if source["embedded"] == next(iter(EMBEDDED)) else ["test"]
    return list(source.get("files") or source["splits"])


def _reference_problems(config: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    corpora, wanted = written["corpora"], [("calibration.corpus", config["calibration"]["corpus"], config["calibration"]["split"])]
    wanted += [("perplexity.corpora", corpus, config["perplexity"]["split"]) for corpus in config["perplexity"]["corpora"]]
    for place, corpus, split in wanted:
        if corpus not in corpora:
            yield f"{place}: corpus {corpus!r} is not one of corpora{near(corpus, corpora)}: {', '.join(corpora)}"
        elif corpus in config["corpora"] and split not in _splits(corpora[corpus]):
            yield f"{place}: corpus {corpus!r} has no split {split!r}, only {', '.join(_splits(corpora[corpus]))}"
    for task in config["zeroshot"]["tasks"]:
        if task not in written["tasks"]:
            yield f"zeroshot.tasks: task {task!r} is not one of tasks{near(task, written['tasks'])}: {', '.join(written['tasks'])}"


def _override_problems(source: Mapping[str, Any], methods: Mapping[str, Any]) -> Iterator[str]:
    for label in source["methods"]:
        if label not in methods:
            yield f"methods.{label} is not one of methods{near(label, methods)}: {', '.join(methods)}"


def _model_problems(config: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[str]:
    methods = {}
    for label, options in config["methods"].items():
        try:
            methods[label] = method_of(label, {**options, **source["methods"].get(label, {})})
        except (ValueError, TypeError) as error:
            yield str(error)
    faults = problems_of(source)
    yield from faults
    try:
        checkpoint = Checkpoint(directory_of(source))
        layers = checkpoint.layers
    except (SourceError, OSError, KeyError, ValueError):
        return  # a hub model not fetched yet, or a directory whose fault problems_of has told
    context = checkpoint.config.get("max_position_embeddings")
    lengths = {f"{part}.length": config[part]["length"] for part in ("calibration", "perplexity")}
    lengths["throughput.prompt + generate"] = config["throughput"]["prompt"] + config["throughput"]["generate"]
    yield from (
        f"{place} is {length}, past the model's context of {context} tokens"
        for place, length in lengths.items()
        if context and length > context
    )
    for label, method in methods.items() if not faults else ():
        yield from _fit_problems(label, method, checkpoint, layers, config["ratios"])


def _fit_problems(label: str, method: Method, checkpoint: Checkpoint, layers: int, ratios: list[float]) -> Iterator[str]:
    if not 1 <= method.group <= layers:
        yield f"method {label}: group {method.group} does not fit a model of {layers} layers; choose 1 to {layers}"
        return
    for ratio in ratios if method.compresses and method.budgeted else ():
        try:
            check_budget(checkpoint.shapes(method.group), ratio)
        except ValueError as error:  # too small a budget, tensors that are not there, layers of different shapes
            yield f"method {label}: {error}"
