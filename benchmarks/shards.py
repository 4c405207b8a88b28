"""Times of a step in 1, 2 and 4 shards, and how far their sum is from one job's: `python -m benchmarks.shards [MODEL] [WINDOWS]`.

The shares of a step are processes side by side on this machine, with one thread each, and the job that adds them comes after; each starts
Python and loads the model anew, as a job on a cluster does. A machine with fewer cores than shards, or with other work, shows by the CPU
seconds of the longest share that the work is divided; how much sooner it is done on as many nodes it cannot show. MODEL is an embedded
one (`docs-mha`) or a path, WINDOWS (64) of 256 tokens are read.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from drank.calibration.layer_files import layer_file, layers_in
from drank.config.chain import tokens_at
from drank.methods import METHODS
from drank.runtime.files import read_json
from drank.runtime.shares import Share
from drank.steps import calibrate, corpus, evaluate, gradients, source, tokenize
from drank.testbed import MODELS

COUNTS = (1, 2, 4)
COMPUTE: dict[str, Any] = {"compute": {"device": "cpu", "dtype": "float32"}, "threads": 1}
STEPS: dict[str, Callable[..., Any]] = {"calibrate": calibrate.run, "gradients": gradients.run, "evaluate": evaluate.run}
DOCS = "python-docs"


def prepared(folder: Path, model: str, windows: int) -> dict[str, dict[str, Any]]:
    """What each step reads, made in a folder: the model's source file, and the tokens of text to calibrate and to measure on."""
    os.chdir(folder)
    text = {"corpus": DOCS, "split": "train", "windows": windows, "length": 256, "seed": 13, "batch": 8}
    places = {"model": {"embedded": model} if (MODELS / model).is_dir() else {"path": model}}
    source.run("source.json", name="model", source=places["model"])
    corpus.run("corpus.parquet", source={"embedded": DOCS})
    tokens = {split: tokens_at("model", {"corpus": DOCS, "split": split}) for split in ("train", "test")}
    for split, path in tokens.items():
        tokenize.run(path, corpus="corpus.parquet", source="source.json", places=places, name=DOCS, split=split, characters=4_000_000)
    common = {"source": "source.json", "places": places, "tokens": tokens["train"], "code": "", **COMPUTE}
    return {
        "calibrate": {**common, "calibration": text},
        "gradients": {**common, "calibration": {**text, "gradient_windows": windows}, "labels": "text"},
        "evaluate": {
            "names": {"model": "model", "method": "dense", "ratio": "0"},
            "model": "source.json",
            "places": places,
            "tokens": [tokens["test"]],
            "perplexity": {"length": 256, "windows": windows, "batch": 4},
            "zeroshot": {},
            "dense": METHODS["dense"].settings(),
            **COMPUTE,
        },
    }


class Taken(NamedTuple):
    """What jobs that ran together took: seconds until the last was done, and the CPU seconds of the longest."""

    clock: float
    longest: float

    def __str__(self) -> str:
        """As a line has it."""
        return f"{self.clock:.1f} s (CPU {self.longest:.1f})"


def job(step: str, output: Any, options: dict[str, Any], taken: Any) -> None:
    """Do one share of a step in this process and tell the CPU seconds that the process has taken."""
    STEPS[step](output, **options)
    taken.put(time.process_time())


def side_by_side(step: str, outputs: Sequence[Any], options: Sequence[dict[str, Any]]) -> Taken:
    """What jobs of one step took, started together, each a process of its own."""
    context, started = multiprocessing.get_context("spawn"), time.perf_counter()
    taken = context.Queue()
    jobs = [context.Process(target=job, args=(step, output, one, taken)) for output, one in zip(outputs, options, strict=True)]
    for process in jobs:
        process.start()
    for process in jobs:
        process.join()
    if any(process.exitcode for process in jobs):
        sys.exit(f"{step} failed")
    return Taken(time.perf_counter() - started, max(taken.get() for _ in jobs))


def divided(step: str, what: dict[str, Any], count: int, folder: Path) -> tuple[list[Taken], Path]:
    """What all shares of a step took, then where there are several what adding them took, and where the result lies."""
    result = folder / f"{step}-{count}"
    place = (lambda path: {"perplexity": path}) if step == "evaluate" else (lambda path: path)
    if count == 1:
        return [side_by_side(step, [place(result)], [what])], result
    parts = [folder / f"{step}-{Share(number, count)}" for number in range(1, count + 1)]
    outputs = [{"part": part} if step == "evaluate" else part for part in parts]
    shares = side_by_side(step, outputs, [{**what, "share": str(Share(number, count))} for number in range(1, count + 1)])
    return [shares, side_by_side(step, [place(result)], [{**what, "parts": list(map(str, parts))}])], result


def difference(found: Path, whole: Path) -> float:
    """The largest between two results, relative to the largest number of what it stands in: a tensor, or the losses of a text."""
    from safetensors.torch import load_file

    if whole.is_file():
        mine, theirs = (record["detail"][DOCS]["window_loss"] for record in map(read_json, (found, whole)))
        return max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) / max(map(abs, theirs))
    worst = 0.0
    for layer in range(layers_in(whole)):
        mine, theirs = load_file(layer_file(found, layer)), load_file(layer_file(whole, layer))
        for name, values in theirs.items():
            worst = max(worst, ((mine[name].double() - values.double()).abs().max() / values.abs().max()).item())
    return worst


def main() -> None:
    """Print a line for each step and number of shards."""
    model, windows = [*sys.argv[1:], *("docs-mha", "64")[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory(prefix="drank-shards-") as name:
        folder = Path(name)
        steps = prepared(folder, model if (MODELS / model).is_dir() else str(Path(model).resolve()), int(windows))
        say(f"{model}, {windows} windows of 256 tokens, {len(os.sched_getaffinity(0))} cores, one thread a job")
        for step, what in steps.items():
            for count in COUNTS:
                taken, result = divided(step, what, count, folder)
                off = f"; largest difference from one job {difference(result, folder / f'{step}-1'):.1e}" if count > 1 else ""
                say(f"{step}, {count} shards: {', to add them '.join(map(str, taken))}{off}")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
