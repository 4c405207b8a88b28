"""A SLURM without accounting, one with it, and what the runs of the tests are compared with; skipped where no SLURM can be started."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, lacking
from tests.slurm.places import Place
from tests.slurm.results import TARGET, write_resumable
from tests.workflow.runs import write_inputs


def started(accounting: bool) -> Iterator[Cluster]:
    """A cluster for a session of tests, or the reason why they are skipped."""
    if reason := lacking(accounting):
        pytest.skip(reason)
    with Cluster(accounting, nodes=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def plain() -> Iterator[Cluster]:
    """A cluster whose past jobs nobody accounts for."""
    yield from started(accounting=False)


@pytest.fixture(scope="session")
def accounted() -> Iterator[Cluster]:
    """A cluster with accounts and a database of past jobs."""
    yield from started(accounting=True)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local run, finished, of everything that a small configuration asks for."""
    folder = tmp_path_factory.mktemp("tiny") / "run"
    folder.mkdir()
    write_inputs(folder)
    return done_locally(folder)


@pytest.fixture(scope="session")
def resumable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local run, finished, with a resumable step of each kind."""
    folder = tmp_path_factory.mktemp("resumable") / "run"
    write_resumable(folder)
    return done_locally(folder, TARGET)


def done_locally(folder: Path, *targets: str) -> Path:
    """The folder, in which a local run has finished; what it reads lies beside it, in `inputs`."""
    shutil.copytree(folder, folder.with_name("inputs"))
    Place().finish(folder, *targets)
    return folder
