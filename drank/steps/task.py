"""Build the items of one embedded task from the held-out documents of python-docs."""

from __future__ import annotations

from pathlib import Path

from drank.corpora import load
from drank.testbed.tasks import write_task


def run(output: str | Path, *, name: str, corpus: str) -> None:
    """Write the items as JSON lines, and beside them the harness's definition as YAML."""
    documents, _ = load(corpus, "test")
    write_task(name, documents, output)
