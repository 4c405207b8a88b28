"""A run that would keep its notes in a database is refused before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SNAKEFILE = """
from snakemake.scheduling.job_scheduler import JobScheduler
from drank.runtime.unchanged import leave_out_unchanged
leave_out_unchanged(JobScheduler)
rule a:
    output: "results/a"
"""


def test_notes_in_a_database_are_refused_by_name(tmp_path: Path) -> None:
    """In a process of its own, for it changes Snakemake's classes."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--persistence-backend", "db", "-n"]
    path = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=path)
    assert done.returncode == 1
    assert "persistence-backend is db" in done.stdout and "say --persistence-backend file" in done.stdout
    assert "Traceback" not in done.stdout and not (tmp_path / ".snakemake/metadata.db").exists()
