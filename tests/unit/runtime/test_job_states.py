"""Whom a run asks for the state of its jobs: the queue where it remembers, the accounts where it does not and there are some."""

from types import SimpleNamespace

import pytest

from drank.runtime.job_states import ask_who_knows


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A SLURM set up like this, as far as `scontrol show config` tells."""

    def write(age, accounts):
        said = f"Configuration data\nAccountingStorageType   = accounting_storage/{accounts}\nMinJobAge               = {age} sec\n"
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
        (tmp_path / "scontrol").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return write


@pytest.mark.parametrize(
    ("age", "accounts", "asked", "warned"),
    [
        (300, "none", "squeue", False),  # sacct never answers there
        (300, "slurmdbd", "squeue", False),  # of a cancelled job sacct says "CANCELLED by 0", which the executor takes for running
        (60, "slurmdbd", "sacct", False),
        (60, "none", "squeue", True),
    ],
)
def test_the_one_who_knows_is_asked(scontrol, age, accounts, asked, warned):
    scontrol(age, accounts)
    settings, said = SimpleNamespace(status_command="sacct"), []
    ask_who_knows(settings, said.append)
    assert settings.status_command == asked
    assert bool(said) == warned and ("60 sec" in said[0] if warned else True)


def test_nothing_is_changed_where_slurm_cannot_be_asked_or_is_not_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = SimpleNamespace(status_command="sacct")
    ask_who_knows(settings, pytest.fail)
    ask_who_knows(None, pytest.fail)
    assert settings.status_command == "sacct"
