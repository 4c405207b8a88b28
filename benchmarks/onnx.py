"""Time exported models in ONNX Runtime beside one another: `python -m benchmarks.onnx DENSE SMALLER … [--threads 1] [--prompt 256]`.

Each is a folder that `drank export --to onnx` wrote, the first the dense one that the others are compared with; a dense model is exported
as a compressed one is. Without folders, models of LLaMA's shape with random weights are made, exported and timed: dense, and at each kept
share in both storages.

Prefill of a prompt, then tokens one by one with the cache, by turns in every round; prints the median milliseconds of a prompt and of a
token, and the median of the ratios to the first model in the same round. Beside other work no figure means much.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.execution import MAKERS, compressed, dense_model
from drank.models.documents import DATA, GRAPH
from drank.models.exports.answers import Session
from drank.models.exports.graph import example_of, traced


def say(line: str) -> None:
    """A line to whoever waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def made(folder: Path, asked: argparse.Namespace) -> list[Path]:
    """Exported models of random weights below a folder, the dense one first."""
    dense = dense_model(asked.width, asked.inner, asked.gigabytes, torch.float32)
    models = {"dense": lambda: dense}
    for kept in asked.kept:
        for storage in MAKERS:
            models[f"{storage}-{kept:g}"] = lambda kept=kept, storage=storage: compressed(dense, kept, storage, 1)  # type: ignore[misc]
    for name, make in models.items():
        (folder / name).mkdir()
        model = make()
        traced(model, example_of(model)).save(folder / name / GRAPH, external_data=True)
    return [folder / name for name in models]


def seconds(session: Session, ids: np.ndarray[Any, Any], generate: int) -> tuple[float, float]:
    """How long a prompt takes, and a token after it (the median)."""
    text, steps = ids, []
    started = time.perf_counter()
    logits, cache = session.step(ids, np.ones_like(ids), session.empty(len(ids)))
    prefill = time.perf_counter() - started
    for _ in range(generate):
        new = logits[:, -1:].argmax(-1)
        text = np.concatenate([text, new], 1)
        started = time.perf_counter()
        logits, cache = session.step(new, np.ones_like(text), cache)
        steps.append(time.perf_counter() - started)
    return prefill, statistics.median(steps)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    options = {"width": 2048, "inner": 5632, "prompt": 256, "generate": 32, "batch": 1, "repeats": 7, "threads": 1}
    for option, default in options.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--gigabytes", type=float, default=0.8)
    parser.add_argument("--kept", type=float, nargs="+", default=[0.6, 0.4])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = asked.folders or made(Path(folder), asked)
        sessions = [Session(one / GRAPH, asked.threads) for one in folders]
        ids = np.random.default_rng(0).integers(0, 1000, (asked.batch, asked.prompt), dtype=np.int64)
        rounds = [[seconds(session, ids, asked.generate) for session in sessions] for _ in range(asked.repeats + 1)][1:]
        say(f"{asked.threads} threads, batch {asked.batch}, prompt {asked.prompt}, {asked.repeats} rounds")
        for number, one in enumerate(folders):
            line = f"{one.name:24} {(one / DATA).stat().st_size / 1e6:8.1f} MB"
            for phase, what in enumerate(("prefill", "decode")):
                took = 1e3 * statistics.median(models[number][phase] for models in rounds)
                ratio = statistics.median(models[0][phase] / models[number][phase] for models in rounds)
                line += f"   {what} {took:8.2f} ms {ratio:5.2f} ×"
            say(line)


if __name__ == "__main__":
    main()
