"""What a backward pass costs without the products that nobody reads: `python -m benchmarks.gradients MODEL [--windows 8] [--length 256]`.

MODEL is a directory, or the name of an embedded model. In turn, several times over, with one thread unless `--threads` says otherwise: one
pass of the model forward over the windows; the pass over the text's labels with the second moments at the outputs, and without them; that
over the likeliest tokens. Prints the median processor seconds of each, and their ratio to the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from drank.calibration.gradients import collect
from drank.evaluation.losses import window_losses
from drank.models.checkpoint import load_model
from drank.testbed import MODELS


def main() -> None:
    """Time the passes on random token ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for name, default in {"windows": 8, "length": 256, "threads": 1, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = load_model(Path(asked.model) if Path(asked.model).is_dir() else MODELS / asked.model, "float32")
    ids = torch.randint(0, model.config.vocab_size, (asked.windows, asked.length), generator=torch.Generator().manual_seed(0))

    def passed(**options: Any) -> Callable[[], None]:
        def take() -> None:
            with tempfile.TemporaryDirectory() as folder:
                collect(model, ids, Path(folder) / "gradients", {}, **options)

        return take

    ways: dict[str, Callable[[], Any]] = {
        "forward": lambda: window_losses(model, list(ids), "text", 8),
        "text, with outputs": passed(labels="text"),
        "text, without": passed(labels="text", outputs=False),
        "likeliest": passed(labels="likeliest"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.repeats):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        sys.stdout.write(f"{name:<20} {median:8.2f} s  {median / medians['forward']:5.2f} ×\n")


if __name__ == "__main__":
    main()
