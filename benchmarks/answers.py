"""What scoring answers costs in time: `python -m benchmarks.answers MODEL ITEMS.jsonl [--items 20] [--batch 32]`.

MODEL is a directory, or the name of an embedded model; ITEMS holds the items of an embedded task, as a run leaves them in
`results/tasks`. In turn, several times over, with one thread unless `--threads` says otherwise: prompt and answer read together, as
lm-evaluation-harness reads them; a prompt read once for all of its answers, as drank does. Prints the median processor seconds of both
with the ratio to the first, and by how much their scores differ at most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from drank.evaluation.zeroshot.language_model import LanguageModel
from drank.evaluation.zeroshot.likelihoods import log_likelihoods
from drank.evaluation.zeroshot.pairs import pair_of
from drank.models.checkpoint import load_model, load_tokenizer
from drank.testbed import MODELS


def main() -> None:
    """Compare the two on the first items of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    for name, default in {"items": 20, "batch": 32, "threads": 1, "repeats": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    directory = Path(asked.model) if Path(asked.model).is_dir() else MODELS / asked.model
    model, tokenizer = load_model(directory, "float32"), load_tokenizer(directory)
    asker: Any = LanguageModel(model, tokenizer, asked.batch)
    items = [json.loads(line) for line in asked.file.read_text("utf-8").splitlines()[: asked.items]]
    texts = [(item["context"], choice) for item in items for choice in item["choices"]]
    pairs = [pair_of(*text, asker.tok_encode, asker._bare, asker.prefix_token_id) for text in texts]
    requests = [(text, *pair) for text, pair in zip(texts, pairs, strict=True)]
    once = [(tuple(prompt), tuple(answer)) for prompt, answer in pairs]
    ways: dict[str, Any] = {
        "as the harness reads": lambda: HFLM._loglikelihood_tokens(asker, requests, disable_tqdm=True),
        "prompts read once": lambda: log_likelihoods(model, once, asked.batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, list[float]] = {}
    for _ in range(asked.repeats):
        for name, way in ways.items():
            started = time.process_time()
            scores[name] = [score for score, _ in way()]
            seconds[name].append(time.process_time() - started)
    first = statistics.median(seconds["as the harness reads"])
    for name, found in seconds.items():
        sys.stdout.write(f"{name:<24} {statistics.median(found):8.2f} s  {statistics.median(found) / first:5.2f} ×\n")
    theirs, own = scores.values()
    apart = max(abs(one - other) for one, other in zip(theirs, own, strict=True))
    sys.stdout.write(f"{len(texts)} answers of {len(items)} items, scores at most {apart:.2g} nats apart\n")


if __name__ == "__main__":
    main()
