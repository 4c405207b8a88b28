"""What each measure costs beside perplexity and tasks alone: `python -m benchmarks.measures [DENSE] [--method svd] [--ratio 0.2]`.

DENSE is a directory, or the name of an embedded model, docs-mha unless said otherwise; measured is that model compressed by a method that
needs no text. In turn, several times over, with one thread unless `--threads` says otherwise, on held-out text and tasks of python-docs:
losses of so many texts out of the logits and nothing else, the first so many items of each task, losses as drank has them (with calibration
error and the loss by position), the same beside the dense model (with KL and agreement), continuations as a run writes them by default, on
each text, and losses on as many windows, read and unread, as a run measures overfitting on. Texts, windows and items are those of the
default configuration unless said otherwise. Prints the median processor seconds of each and what all measures take over perplexity and
tasks alone; then what is made once a text for all models, the states of the dense model.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

import drank
from drank.config import read_schema
from drank.corpora import read
from drank.corpora.encoding import encode
from drank.evaluation.continuations import continuations_of
from drank.evaluation.losses import TOGETHER, window_losses
from drank.evaluation.reference import Reference, store_reference
from drank.evaluation.zeroshot import answer_tasks
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.forward import wide
from drank.runtime.shipped import SCHEMA
from drank.testbed import MODELS
from drank.testbed.tasks import TASKS, write_task

ALONE = ("perplexity alone", "tasks")
"""What the measures stand beside."""

ALL = ("beside the dense model", "continuations", "overfitting", "tasks")
"""What a run measures by default: the first has losses, calibration error, the loss by position, KL and agreement in one pass."""


def alone(model: Any, windows: torch.Tensor, batch: int) -> list[float]:
    """The summed loss of each window, as many tokens at a time as drank has, and nothing else."""
    losses: list[float] = []
    with torch.inference_mode():
        for ids in windows.split(batch):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
            for own, labels in zip(logits, ids[:, 1:], strict=True):
                parts = zip(own.split(TOGETHER), labels.split(TOGETHER), strict=True)
                losses.append(sum(-float(wide(part).log_softmax(-1).gather(1, label[:, None]).double().sum()) for part, label in parts))
    return losses


def seconds_of(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median processor seconds of each, all done in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.process_time()
            way()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in taken.items()}


def over(taken: Mapping[str, float]) -> float:
    """What all measures take over perplexity and tasks alone."""
    return sum(taken[name] for name in ALL) / sum(taken[name] for name in ALONE)


def told(taken: Mapping[str, float]) -> str:
    """A line for each way with its share of perplexity and tasks alone, and one for all measures."""
    base = sum(taken[name] for name in ALONE)
    lines = [f"{name:<36} {found:8.2f} s  {found / base:5.2f} ×" for name, found in taken.items()]
    return "\n".join([*lines, f"{'all measures':<36} {sum(taken[name] for name in ALL):8.2f} s  {over(taken):5.2f} ×"]) + "\n"


def items_of(documents: list[Any], folder: Path) -> dict[str, str]:
    """The files of all embedded tasks by name, made of these documents."""
    items = {name: str(folder / f"{name}.jsonl") for name in TASKS}
    for name, path in items.items():
        write_task(name, documents, path)
    return items


def ways_of(
    model: Any, texts: list[torch.Tensor], batch: int, kept: list[Reference], answer: Callable[[], Any]
) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: `kept` is what is kept of the dense model on each text, `answer` answers the tasks."""
    options = read_schema(SCHEMA)["properties"]["perplexity"]["properties"]
    continued = {name: option["default"] for name, option in options["continuations"]["properties"].items()}
    read = list(torch.cat(texts)[: 2 * options["overfitting"]["default"]])
    pairs = [(list(text), reference.beside("cpu")) for text, reference in zip(texts, kept, strict=True)]
    return {
        "perplexity alone": lambda: [alone(model, text, batch) for text in texts],
        "tasks": answer,
        "with calibration and by position": lambda: [window_losses(model, text, "text", batch) for text, _ in pairs],
        "beside the dense model": lambda: [window_losses(model, text, "text", batch, beside=beside) for text, beside in pairs],
        "continuations": lambda: [continuations_of(model, text, continued, "text") for text, _ in pairs],
        "overfitting": lambda: window_losses(model, read, "text", batch),
    }


def main() -> None:
    """Measure a compressed model in all ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dense", nargs="?", default="docs-mha")
    parser.add_argument("--method", default="svd")
    parser.add_argument("--ratio", type=float, default=0.2)
    for name, default in {"texts": 3, "windows": 64, "length": 256, "batch": 4, "items": 200, "threads": 1, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    directory = Path(asked.dense) if Path(asked.dense).is_dir() else MODELS / asked.dense
    model, tokenizer = drank.compress(directory, asked.method, asked.ratio, threads=asked.threads), load_tokenizer(directory)
    documents = [document for document in read({"embedded": "python-docs"}) if document.split == "test"]
    ids = torch.tensor(encode(tokenizer, "\n\n".join(document.text for document in documents)))
    texts = list(ids[: asked.texts * asked.windows * asked.length].view(asked.texts, asked.windows, asked.length))
    with tempfile.TemporaryDirectory() as folder:
        tasks, items = {name: {"embedded": name} for name in TASKS}, items_of(documents, Path(folder))
        dense, places = load_model(directory, "float32"), [Path(folder) / f"kept-{number}" for number in range(asked.texts)]
        started = time.process_time()
        for text, place in zip(texts, places, strict=True):
            store_reference(dense, list(text), place, {}, asked.batch)
        once = time.process_time() - started
        kept = [Reference.read(place, directory) for place in places]
        answer = partial(answer_tasks, model, tokenizer, tasks, items=items, limit=asked.items)
        sys.stdout.write(told(seconds_of(ways_of(model, texts, asked.batch, kept, answer), asked.repeats)))
        sys.stdout.write(f"{'the states of the dense model, once':<36} {once:8.2f} s\n")


if __name__ == "__main__":
    main()
