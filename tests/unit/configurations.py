"""Configurations with the defaults of the schema, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drank.config import ConfigError, check, read_schema, with_defaults

ROOT = Path(__file__).parents[2]
SCHEMA = read_schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def problems(config: dict, folder: Path | None = None) -> list[str]:
    """The lines of the one error that a configuration gives, for a run in a folder."""
    with pytest.raises(ConfigError) as error:
        check(with_defaults(config, SCHEMA), folder)
    head, *lines = str(error.value).split("\n")
    assert head.startswith(f"the configuration has {len(lines)} problem") and "config/README.md" in head
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]
