"""What L-Rank costs beside D-Rank: `python -m benchmarks.l_rank_cost [MODEL] [--windows N]`.

Each part runs in a process of its own on an embedded model (default docs-mha) and its own text, one thread, so that its peak memory is
known; times do not count the start of Python. D-Rank's part is its calibration and decomposition, L-Rank's one step of the same, the
backward pass over half the windows included, as is the default; the refit, the compensated refit and a correction are measured apart, at
40 %.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.sweep import LENGTH, WINDOWS, embedded_windows
from drank.allocation.allocate import allocate
from drank.allocation.read_evidence import read_evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.compensation import compensate
from drank.compression.correction import correct, leaving_states
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.config import gradient_options
from drank.methods import METHODS
from drank.models.checkpoint import load_model
from drank.models.conversion import convert
from drank.models.residency import open_skeleton
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model
from drank.testbed import MODELS

RATIO = 0.4
PARTS = ("start", "d-rank", "l-rank", "refit", "compensate", "correct")


def run(part: str, source: Path, folder: Path, count: int) -> dict[str, float]:
    """The seconds and the peak memory in MiB of one part, which leaves its files in `folder`; `start` loads what all need, and no more."""
    import torch

    torch.set_num_threads(1)
    windows, checkpoint = embedded_windows(source)[:count], Checkpoint(source)
    started = time.perf_counter()
    if part in ("d-rank", "l-rank"):
        method = METHODS[part]
        calibrate(open_skeleton(source, "float32"), windows, folder / f"{part}-moments", {})
        gradients = folder / "gradients" if method.weighs_gradients else None
        if gradients:
            options = gradient_options({"calibration": {"windows": count, "curvature_windows": None}}, method.labels)
            collect(open_skeleton(source, "float32"), windows[: options["gradient_windows"]], gradients, {}, labels=method.labels)
        decompose_model(
            checkpoint,
            folder / f"{part}-spectra",
            moments=folder / f"{part}-moments",
            gradients=gradients,
            weighting=method.weighting,
            options=method.weighting_options,
            group=method.group,
            facts={},
        )
    elif part != "start":
        label = "d-rank" if part == "refit" else "l-rank"
        spectra = folder / f"{label}-spectra"
        model = load_model(source, "float32")
        plan = allocate(read_evidence(spectra), RATIO, METHODS[label].settings(), model=source.name, method=label)
        convert(model, plan.groups, factors_of(checkpoint, plan, spectra))
        started = time.perf_counter()
        if part == "refit":
            refit(model, checkpoint, windows)
        elif part == "compensate":
            compensate(model, open_skeleton(source, "float32"), plan, spectra, windows)
        else:
            correct(model, leaving_states(open_skeleton(source, "float32"), windows), windows, 1)
    return {"seconds": time.perf_counter() - started, "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run every part and print the table."""
    logging.disable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="docs-mha", help="an embedded model")
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"calibration windows of {LENGTH} tokens, at most {WINDOWS}")
    parser.add_argument("--part", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        say(json.dumps(run(given.part[0], MODELS / given.model, Path(given.part[1]), given.windows)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            command = [sys.executable, "-m", "benchmarks.l_rank_cost", given.model, "--windows", str(given.windows), "--part", part, folder]
            found[part] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            say(f"{part:12} {found[part]['seconds']:8.1f} s {found[part]['mebibytes']:8.0f} MiB")
    ratios = {key: found["l-rank"][key] / found["d-rank"][key] for key in ("seconds", "mebibytes")}
    say(f"L-Rank, one step, beside D-Rank: {ratios['seconds']:.2f} × the time, {ratios['mebibytes']:.2f} × the peak memory")


if __name__ == "__main__":
    main()
