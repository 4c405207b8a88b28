"""The documentation names what there is: configurations that it shows are valid, keys, methods and columns are all explained."""

import re
from pathlib import Path

import pytest
import yaml

from drank.config import check, read_schema, with_defaults
from drank.methods import METHODS
from drank.reporting.summary import COLUMNS

PROJECT = Path(__file__).parents[2]
SCHEMA = read_schema(PROJECT / "workflow/schemas/config.schema.yaml")
GUIDE = (PROJECT / "config/README.md").read_text("utf-8")


def keys_of(schema, root=SCHEMA):
    schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    for key, part in schema.get("properties", {}).items():
        yield key
        yield from keys_of(part)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"])


@pytest.mark.parametrize("name", ["config.yaml", "paper.yaml"])
def test_shipped_configurations_fit_the_schema(name):
    with_defaults(yaml.safe_load((PROJECT / "config" / name).read_text()), SCHEMA)


def test_paper_configuration_has_nothing_wrong_but_what_a_hub_must_tell():
    check(with_defaults(yaml.safe_load((PROJECT / "config/paper.yaml").read_text()), SCHEMA))


def test_readme_shows_a_valid_configuration():
    (block,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "README.md").read_text("utf-8"), re.S)
    with_defaults(yaml.safe_load(block), SCHEMA)


def test_every_key_is_explained():
    assert [key for key in dict.fromkeys(keys_of(SCHEMA)) if f"`{key}`" not in GUIDE and f"## {key}" not in GUIDE] == []


def test_every_method_is_in_the_table():
    assert [name for name in METHODS if f"| `{name}` |" not in GUIDE] == []


def test_every_column_of_the_summary_is_explained():
    table = GUIDE.partition("## summary.csv")[2]
    assert [column for column in COLUMNS if f"`{column}`" not in table] == []


def test_files_that_the_readme_names_exist():
    text = (PROJECT / "README.md").read_text("utf-8")
    named = re.findall(r"`((?:drank|config|workflow|envs|tests)/[\w./-]+\.\w+)`", text) + re.findall(r"\]\(((?!http)[\w./-]+)", text)
    assert named
    assert [path for path in named if not (PROJECT / path).exists()] == []
