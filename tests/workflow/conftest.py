"""A finished run of the whole pipeline on a tiny model and text, in a copy of the project whose code a test may edit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.workflow.runs import PROJECT, Run, write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything a run reads."""
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="session")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has finished; tests of what a change reruns must undo their change."""
    project = tmp_path_factory.mktemp("project")
    for name in ("drank", "workflow", "profiles", "config", "envs"):
        shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "Snakefile", project)
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(inputs, folder)
    run = Run(folder, project)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    return run
