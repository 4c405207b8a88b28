"""Time one line against the steps that it takes, in one run: `python -m benchmarks.one_line [METHOD] [RATIO] [WINDOWS]`.

`drank compress` on the shipped model docs-mha, from the start of its process to its end, against the jobs of a run of the workflow that
makes the same model with as many threads, one job after the other, by the seconds that Snakemake noted for each; and whether both made
the same weights. Python's library reference topics are the text.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from drank.runtime.device import cores
from drank.runtime.shipped import WORKFLOW

MODEL = "docs-mha"
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join([str(WORKFLOW), os.environ.get("PYTHONPATH", "")])}


def text() -> str:
    """Some 300,000 characters that every Python has."""
    topics = importlib.import_module("pydoc_data.topics").topics
    return "\n\n".join(topics[name] for name in sorted(topics))[:300_000]


def timed(*command: str, folder: Path) -> float:
    """The seconds of a command in a folder; what it says where it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    return time.perf_counter() - started


def steps(folder: Path) -> dict[str, float]:
    """The seconds of each job of a run, by the path of its benchmark."""
    root = folder / "results/benchmarks"
    rows = {path.relative_to(root).with_suffix("").as_posix(): path.read_text().splitlines()[1] for path in sorted(root.rglob("*.tsv"))}
    return {name: float(row.split("\t")[0]) for name, row in rows.items()}


def main() -> None:
    """Run both and print what they took."""
    method, ratio, windows = [*sys.argv[1:], *("l-rank", "0.4", "64")[len(sys.argv) - 1 :]]
    folder = Path(tempfile.mkdtemp(prefix="drank-benchmark-"))
    (folder / "my.txt").write_text(text(), "utf-8")
    config = {
        "models": {MODEL: {"embedded": MODEL}},
        "corpora": {"my": {"files": {"train": "my.txt"}}},
        "calibration": {"corpus": "my", "windows": int(windows), "length": 256},
        "ratios": [float(ratio)],
        "methods": {method: {}},
        "compute": {"threads": cores()},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    options = ("--method", method, "--ratio", ratio, "--windows", windows, "--length", "256")
    line = timed(sys.executable, "-m", "drank", "compress", MODEL, "--text", "my.txt", "--out", "smaller", *options, folder=folder)
    run = timed(
        *(sys.executable, "-m", "snakemake", "-s", str(WORKFLOW / "Snakefile"), "--configfile", "config.yaml", "--cores", str(cores())),
        folder=folder,
    )
    taken = steps(folder)
    for name, seconds in taken.items():
        report(f"{seconds:8.1f} s  {name}")
    total = sum(taken.values())
    report(f"{total:8.1f} s  all steps of the run, each a process of its own; the run itself {run:.1f} s")
    report(f"{line:8.1f} s  drank compress, one process: {line / total:.2f} × its steps")
    theirs = folder / f"results/models/{MODEL}/{method}/{float(ratio):g}/model.safetensors"
    report(f"weights are {'equal' if theirs.read_bytes() == (folder / 'smaller/model.safetensors').read_bytes() else 'NOT equal'}")


def report(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
