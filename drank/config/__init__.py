"""The configuration: its schema with defaults, and every check that can be made before any work starts, reported all at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from drank.config.beginnings import with_beginnings
from drank.config.checks import problems_in
from drank.config.grids import with_artefacts
from drank.config.resolved import (
    calibration_options,
    finetune_options,
    gradient_options,
    methods_for,
    ratios_of,
    refusals_for,
    search_options,
    shards_of,
)
from drank.config.schema import fill, fitting_parts, meant, schema_problems
from drank.config.seen import seen_problems
from drank.config.spelling import spelling_problems
from drank.runtime.mappings import MappingError, read_mapping

__all__ = [
    "ConfigError",
    "calibration_options",
    "check",
    "finetune_options",
    "gradient_options",
    "methods_for",
    "ratios_of",
    "read_config",
    "read_schema",
    "refusals_for",
    "search_options",
    "shards_of",
    "with_beginnings",
    "with_defaults",
]


class ConfigError(ValueError):
    """A configuration that cannot be run, with everything that is wrong with it, a line each in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        listed = "\n  - ".join(problems)
        super().__init__(f"the configuration has {count} (config/README.md explains every key):\n  - {listed}")


def with_defaults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with its texts as what the schema takes for them and the defaults filled in; an empty section is one left out.

    Raises ConfigError with every offender against the schema, and with what `check` finds in the parts that fit it.
    """
    filled = copy.deepcopy({key: value for key, value in meant(config, schema, schema).items() if value is not None})
    fill(filled, schema, schema)
    problems = sorted(schema_problems(filled, schema))
    if problems:
        rest = fitting_parts(filled, schema)
        if rest is None:
            raise ConfigError(problems)
        kinds = {key: type(value) for key, value in rest.items()}  # a section of another kind has no entries to refer to
        written = {key: value if isinstance(value, kinds.get(key, object)) else rest[key] for key, value in filled.items()}
        raise ConfigError([*problems, *problems_in(rest, written)])
    return filled


def read_config(path: str | Path) -> dict[str, Any]:
    """What a configuration file says, its values as text; raises ConfigError with the lines of what cannot be read or is given twice."""
    try:
        return read_mapping(path)
    except MappingError as error:
        raise ConfigError(error.problems) from None


def read_schema(path: str | Path) -> dict[str, Any]:
    """The JSON schema of configurations in a YAML file, with that of artefacts beside it."""
    schema: dict[str, Any] = yaml.safe_load(Path(path).read_text("utf-8"))
    return with_artefacts(schema, yaml.safe_load(Path(path).with_name("artefacts.schema.yaml").read_text("utf-8")))


def check(config: Mapping[str, Any], folder: Path | None = None, *, call: bool = False) -> None:
    """Raise ConfigError with everything that would fail later: names, files, groups, budgets, tasks and window lengths.

    With the `folder` in which a run works, or a `call`, also what it would write over there; of a run what only Snakemake cannot read too.
    """
    problems = [*problems_in(config, config, folder), *seen_problems(config)]
    problems += spelling_problems(config, folder) if folder is not None and not call else []
    if problems:
        raise ConfigError(problems)
