"""What a step of a correction costs in time: `python -m benchmarks.corrections DENSE COMPRESSED [--windows 4] [--length 256]`.

Both are directories of models, the second compressed out of the first; the text is random token ids. In turn, several times over, with one
thread unless `--threads` says otherwise: the gradients of one step with 2048 tokens at a time and every block run again, and as drank takes
them on this machine. Prints the median processor seconds of both with the ratio to the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any
from unittest.mock import patch

import torch

from drank.compression import gradient
from drank.compression.correction import leaving_states, moving
from drank.models.checkpoint import load_model


def main() -> None:
    """Compare the two on random token ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dense")
    parser.add_argument("compressed")
    for name, default in {"windows": 4, "length": 256, "batch": 8, "threads": 1, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = load_model(asked.compressed, "float32")
    windows = torch.randint(0, model.config.vocab_size, (asked.windows, asked.length), generator=torch.Generator().manual_seed(0))
    reference = leaving_states(load_model(asked.dense, "float32"), windows, asked.batch)
    now = {"TOKENS_ON_A_CPU": gradient.TOKENS_ON_A_CPU, "KEPT": gradient.KEPT}
    ways: dict[str, dict[str, Any]] = {"2048 tokens, blocks again": {"TOKENS_ON_A_CPU": 2048, "KEPT": 0}, "as drank takes them": now}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with moving(model):
        for _ in range(asked.repeats):
            for name, values in ways.items():
                with patch.multiple(gradient, **values):
                    started = time.process_time()
                    gradient.leave_gradients(model, windows, reference, range(asked.windows), asked.batch)
                    seconds[name].append(time.process_time() - started)
                model.zero_grad()
    first = statistics.median(next(iter(seconds.values())))
    for name, found in seconds.items():
        sys.stdout.write(f"{name:<28} {statistics.median(found):8.2f} s  {statistics.median(found) / first:5.2f} ×\n")


if __name__ == "__main__":
    main()
