"""The documentation names what there is: configurations that it shows are valid, keys, methods and columns are all explained."""

import csv
import math
import re
from pathlib import Path

import pytest
import yaml

from drank.config import check, read_schema, with_defaults
from drank.config.forecast import WORK
from drank.methods import METHODS
from drank.reporting.summary import COLUMNS

PROJECT = Path(__file__).parents[2]
SCHEMA = read_schema(PROJECT / "workflow/schemas/config.schema.yaml")
GUIDE = (PROJECT / "config/README.md").read_text("utf-8")
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
MEASURED = (PROJECT / "docs/methods/measured.md").read_text("utf-8")


def keys_of(schema, root=SCHEMA, inside=()):
    if (name := schema.get("$ref")) in inside:
        return  # what is in a shape is of any depth, and has no keys of ours
    if name:
        schema, inside = root["$defs"][name.rsplit("/", 1)[1]], (*inside, name)
    for key, part in schema.get("properties", {}).items():
        yield key
        yield from keys_of(part, root, inside)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"], root, inside)


@pytest.mark.parametrize("name", ["config.yaml", "paper.yaml"])
def test_shipped_configurations_fit_the_schema(name):
    with_defaults(yaml.safe_load((PROJECT / "config" / name).read_text()), SCHEMA)


def test_paper_configuration_has_nothing_wrong_but_what_a_hub_must_tell():
    check(with_defaults(yaml.safe_load((PROJECT / "config/paper.yaml").read_text()), SCHEMA))


def test_a_shipped_configuration_that_asks_for_gpus_runs_on_nothing_else():
    """By `auto` a job without one would take hours of CPUs for a model that none of them finishes, and say nothing."""
    shipped = {path.name: yaml.safe_load(path.read_text())["compute"] for path in (PROJECT / "config").glob("*.yaml")}
    asked = {name: compute["device"] for name, compute in shipped.items() if compute.get("gpus")}
    assert asked == {"paper.yaml": "cuda"}


def test_every_key_is_explained():
    assert [key for key in dict.fromkeys(keys_of(SCHEMA)) if f"`{key}`" not in GUIDE and f"## {key}" not in GUIDE] == []


def test_every_method_is_in_the_table():
    assert [name for name in METHODS if f"| `{name}` |" not in GUIDE] == []


def test_every_method_has_a_page():
    pages = [
        PROJECT / "docs/l-rank.md",
        *(page for page in (PROJECT / "docs/methods").glob("*.md") if page.stem not in ("index", "measured", "fidelity")),
    ]
    text = "".join(page.read_text("utf-8") for page in pages)
    overview = (PROJECT / "docs/methods/index.md").read_text("utf-8")
    assert [name for name, method in METHODS.items() if f"`{name}`" not in overview] == []
    assert [name for name, method in METHODS.items() if f"`{name}`" not in text and method.budgeted and not method.control] == []


def test_what_was_measured_names_what_is_run():
    """The tables of numbers have the methods of the default run and the composed ones of `config/methods.yaml`, by title or label."""
    default = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    labels = default["artefacts"]["table7"]["runs"]["method"]
    titles = {METHODS[label].title for label in labels if METHODS[label].compresses}
    for model in default["models"]:
        table = MEASURED.partition(f"### {model}")[2].partition("###")[0]
        rows = {(ratio, title) for ratio, title in re.findall(r"^\| ([\d.]+) \| (.+?) \|", table, re.M)}
        assert {(f"{ratio:g}", title) for ratio in default["ratios"] for title in titles} <= rows
    composed = yaml.safe_load((PROJECT / "config/methods.yaml").read_text())["methods"].keys()
    named = set(re.findall(r"^\| `([\w-]+)` \|", MEASURED, re.M))
    assert named and named <= composed


def test_tables_of_the_pages_repeat_the_numbers_that_were_measured():
    conditions = MEASURED.partition("## Every method")[2].partition("###")[0]
    measured = dict(re.findall(r"^\| ([^|]+?) (?:\([^|]*\) )?\| (\S+ / \S+ / \S+ \| .*)$", conditions, re.M))
    assert measured
    for page in (PROJECT / "docs/methods").glob("*.md"):
        for name, numbers in re.findall(r"^\| ([^|]+?) (?:\([^|]*\) )?\| (\S+ / \S+ / \S+ \| .*)$", page.read_text("utf-8"), re.M):
            if name in measured and numbers.count("|") == measured[name].count("|"):
                assert numbers == measured[name], f"{page.name}: {name}"


def test_numbers_of_the_readme_stand_in_what_was_measured():
    """Those of the pivoted row follow from the dense model's and a gap of the tables of storages."""
    rows = [line for line in PAGES[0].read_text("utf-8").splitlines() if line.startswith("|")]
    shown = {number for line in rows for number in re.findall(r"\b\d+\.\d\d\b", line)}
    (pivoted,) = (re.findall(r"\b\d+\.\d\d\b", line) for line in rows if line.startswith("| SVD-LLM, [pivoted]"))
    (dense,) = {line.split("|")[2].strip() for line in rows if line.startswith("| dense (nothing")}
    with (PROJECT / "docs/l-rank/storage-docs-mha.csv").open() as file:
        gaps = {(row["row"], row["ratio"]): float(row["gap"]) for row in csv.DictReader(file) if row["corpus"] == "python-docs"}
    told = [float(dense) * math.exp(gaps["svd-llm-pivoted", ratio]) for ratio in ("0.2", "0.4")]
    assert [float(number) for number in pivoted] == pytest.approx(told, abs=0.006)
    assert len(shown) > 40 and shown - set(pivoted) <= set(re.findall(r"\b\d+\.\d\d\b", MEASURED))


def test_the_steps_that_the_page_on_clusters_tells_apart_are_the_rules():
    """Those that load no model, but for what the run does itself, and those that do."""
    small, heavy = (set(words.split()) for words in re.findall(r"for step in ([\w ]+);", (PROJECT / "docs/cluster.md").read_text("utf-8")))
    local = set(re.findall(r"^    (\w+),$", (PROJECT / "Snakefile").read_text("utf-8").partition("localrules:")[2], re.M))
    texts = [path.read_text("utf-8") for path in (PROJECT / "workflow/rules").glob("*.smk")]
    blocks = [block for text in texts for block in re.split(r"^(?=\s*rule )", text, flags=re.M)]
    rules = {found[1] for block in blocks if re.search(r"\*\*(?:SMALL|TEXT)_JOB", block) and (found := re.match(r"\s*rule (\w+):", block))}
    assert small == rules - local and heavy == set(WORK)


def test_every_column_of_the_summary_is_explained():
    table = GUIDE.partition("## summary.csv")[2]
    assert [column for column in COLUMNS if f"`{column}`" not in table] == []


def test_files_that_the_pages_name_exist():
    texts = {page.name: page.read_text("utf-8") for page in PAGES}
    named = {
        path: name for name, text in texts.items() for path in re.findall(r"`((?:drank|config|workflow|envs|tests)/[\w./-]+\.\w+)`", text)
    }
    assert len(named) > 10
    assert {path: name for path, name in named.items() if not any((root / path).exists() for root in (PROJECT, PROJECT / "drank"))} == {}
