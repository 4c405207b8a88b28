"""What freed memory that stays with the process saves: `python -m benchmarks.heap DENSE COMPRESSED [--windows 4] [--length 256]`.

DENSE and COMPRESSED are directories of models, the second made out of the first; the text is random token ids. In processes of their own,
in turn, several times over, with one thread: the gradients of a step of a correction, a backward pass of the dense model for the likeliest
tokens, and losses beside the dense model; each with the allocator as it is, and told to keep what is freed. Prints for each the median
processor seconds, the pages that the system handed out, the most memory that the process held, and the ratio of the times.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from drank.calibration.gradients import collect
from drank.compression.correction import leaving_states, moving
from drank.compression.gradient import leave_gradients
from drank.evaluation.losses import window_losses
from drank.evaluation.reference import Reference, store_reference
from drank.models.checkpoint import load_model
from drank.runtime.heap import keep_freed

WORKS = ("correction", "gradients", "losses")


def work_of(name: str, dense: str, compressed: str, windows: torch.Tensor, place: Path) -> Callable[[], Any]:
    """One of the works, ready to be done."""
    model = load_model(dense if name == "gradients" else compressed, "float32")
    if name == "correction":
        reference = leaving_states(load_model(dense, "float32"), windows, 8)

        def step() -> None:
            with moving(model):
                leave_gradients(model, windows, reference, range(len(windows)), 8)

        return step
    if name == "gradients":
        return lambda: collect(model, windows, place / str(time.time()), {}, labels="likeliest")
    store_reference(load_model(dense, "float32"), list(windows), place / "reference", {})
    beside = Reference.read(place / "reference", Path(dense)).beside("cpu")
    return lambda: window_losses(model, list(windows), "random ids", beside=beside)


def measure(name: str, asked: argparse.Namespace) -> dict[str, float]:
    """What one work takes in this process, the second time it is done."""
    torch.set_num_threads(1)
    if asked.kept:
        keep_freed()
    model_config = load_model(asked.dense, "float32").config
    windows = torch.randint(0, model_config.vocab_size, (asked.windows, asked.length), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as place:
        work = work_of(name, asked.dense, asked.compressed, windows, Path(place))
        work()
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
        work()
        seconds, after = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": seconds, "pages": after.ru_minflt - before.ru_minflt, "mib": after.ru_maxrss / 1024}


def main() -> None:
    """Compare the two allocators, or with `--only` measure one work under one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dense")
    parser.add_argument("compressed")
    for option, default in {"windows": 4, "length": 256, "repeats": 3}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--only", choices=WORKS)
    parser.add_argument("--kept", action="store_true")
    asked = parser.parse_args()
    if asked.only:
        sys.stdout.write(json.dumps(measure(asked.only, asked)))
        return
    for name in WORKS:
        found: dict[str, list[dict[str, float]]] = {"as it is": [], "kept": []}
        for _ in range(asked.repeats):
            for way, told in found.items():
                command = [sys.executable, "-m", "benchmarks.heap", *sys.argv[1:], "--only", name, *(["--kept"] if way == "kept" else [])]
                told.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        first = statistics.median(one["seconds"] for one in found["as it is"])
        for way, told in found.items():
            seconds, pages, mib = (statistics.median(one[key] for one in told) for key in ("seconds", "pages", "mib"))
            sys.stdout.write(f"{name:<12} {way:<9} {seconds:7.2f} s  {pages:9.0f} pages  {mib:6.0f} MiB  {seconds / first:5.2f} ×\n")


if __name__ == "__main__":
    main()
