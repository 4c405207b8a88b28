"""What the documentation shows is what works: commands and programs run, configurations are valid.

One page: `make unit TESTS="tests/docs -k tutorial"`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from drank.config import read_schema, with_defaults
from tests.docs.blocks import PROJECT, REASONS, blocks_of, environment, name_of, pages, run

SCHEMA = read_schema(PROJECT / "workflow/schemas/config.schema.yaml")

WHOLE = {
    "models": {"mine": {"path": "."}},
    "corpora": {"wiki": {"files": {"train": "a.txt", "test": "b.txt"}}},
    "calibration": {"corpus": "wiki"},
    "ratios": [0.2],
    "methods": {"dense": {}},
}
"""What a part of a configuration that a page shows is seen in."""

RUN = [
    pytest.param(page, id=name_of(page), marks=() if page.name == "README.md" else pytest.mark.heavy)
    for page in pages()
    if any(block.runs for block in blocks_of(page))
]
"""The pages with something to run. What a reader tries first is tried with every change, the others by `make test-heavy`."""


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    variables = environment(tmp_path)
    folder = tmp_path / "work"
    folder.mkdir()
    for block in blocks_of(page):
        if block.runs:
            run(block, folder, variables)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_configurations_of_a_page_are_valid(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "yaml":
            shown = yaml.safe_load(block.code)
            assert isinstance(shown, dict), f"{block.place} is no mapping"
            whole = shown if {"models", "methods"} <= shown.keys() else {**WHOLE, **shown}
            with_defaults(whole, SCHEMA)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_what_is_not_run_says_why(page: Path) -> None:
    blocks = blocks_of(page)
    assert [block.place for block in blocks if block.reason and not block.reason.startswith(REASONS)] == []
    known = ("", "bash", "python", "yaml", "text", "bibtex")
    assert [f"{block.place}: {block.language}" for block in blocks if block.language not in known] == []
