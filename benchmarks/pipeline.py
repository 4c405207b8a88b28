"""Time the default pipeline from nothing, with nothing to do, and with one more ratio: `python -m benchmarks.pipeline [FOLDER]`.

The folder must be empty or absent (default: a temporary one). Prints seconds, and the jobs that the third run executed by rule.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]
EXTRA_RATIO = 0.3


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds and output of one run of Snakemake in `folder`."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(PROJECT / "Snakefile"),
        "--configfile",
        "config.yaml",
        "--cores",
        "all",
        *arguments,
    ]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-4000:])
    return time.perf_counter() - started, done.stdout


def jobs(output: str) -> dict[str, int]:
    """How many jobs of each rule a run announced."""
    table = output.partition("Job stats:")[2].partition("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)\s*$", table, re.M) if rule != "all"}


def main() -> None:
    """Run the three cases and print what they took."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="drank-benchmark-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty; name a new folder")
    config = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    seconds, output = run(folder)
    report(f"from nothing: {seconds:.0f} s, {sum(jobs(output).values())} jobs")
    seconds, _ = run(folder)
    report(f"nothing to do: {seconds:.1f} s")
    config["ratios"].append(EXTRA_RATIO)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    seconds, output = run(folder)
    added = jobs(output)
    report(f"one more ratio: {seconds:.0f} s, {seconds / max(added.get('compress', 1), 1):.1f} s per model and method, jobs {added}")


def report(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
