"""What measuring losses costs in time and memory: `python -m benchmarks.evaluation MODEL [--windows 16] [--length 256] [--batch 4]`.

MODEL is a directory, or the name of an embedded model. In turn, several times over, with one thread unless `--threads` says otherwise:
losses out of one float32 copy of all logits, as many an evaluation code has them; losses as drank has them; the same beside the dense
model, here the model itself. Prints for each the median processor seconds with its ratio to the first, and the highest bytes of tensors.
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

from drank.evaluation.losses import window_losses
from drank.evaluation.reference import Reference, store_reference
from drank.evaluation.tensor_memory import model_bytes, peak_tensor_bytes
from drank.models.checkpoint import load_model
from drank.testbed import MODELS

MIB = 2**20


def in_one_copy(model: Any, windows: torch.Tensor, batch: int) -> list[float]:
    """The summed loss of each window, out of the logits of a whole batch in float32."""
    losses: list[float] = []
    with torch.inference_mode():
        for ids in windows.split(batch):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
            nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
            losses += nll.view(len(ids), -1).double().sum(1).tolist()
    return losses


def compared(ways: dict[str, Callable[[], Any]], model: Any, repeats: int) -> None:
    """Time all ways in turn and print what each takes."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name].append(time.process_time() - started)
    first = statistics.median(next(iter(seconds.values())))
    for name, way in ways.items():
        with torch.inference_mode():
            peak, _ = peak_tensor_bytes(model, model.device, way)
        median, own = statistics.median(seconds[name]), model_bytes(model)
        memory = f"{(peak - own) / MIB:8.0f} MiB beside the {own / MIB:.0f} of the model"
        sys.stdout.write(f"{name:<24} {median:8.2f} s  {median / first:5.2f} ×  {memory}\n")


def main() -> None:
    """Compare the three on random token ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for name, default in {"windows": 16, "length": 256, "batch": 4, "threads": 1, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    directory = Path(asked.model) if Path(asked.model).is_dir() else MODELS / asked.model
    model = load_model(directory, "float32")
    windows = torch.randint(0, model.config.vocab_size, (asked.windows, asked.length), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        store_reference(model, list(windows), Path(folder) / "kept", {}, asked.batch)
        beside = Reference.read(Path(folder) / "kept", directory).beside("cpu")
        ways: dict[str, Callable[[], Any]] = {
            "one copy of all logits": lambda: in_one_copy(model, windows, asked.batch),
            "as drank has them": lambda: window_losses(model, list(windows), "text", asked.batch),
            "beside the dense model": lambda: window_losses(model, list(windows), "text", asked.batch, beside=beside),
        }
        compared(ways, model, asked.repeats)


if __name__ == "__main__":
    main()
