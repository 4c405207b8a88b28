"""Runs of the real pipeline on a tiny model and text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
PRINTED = {"main", "paired", "timings", "effective_rank", "ranks", "perplexity", "accuracy", "speed"}
"""The artefacts of a run that names none, each a rule."""

SENTENCE = "the rank of a matrix is what its rows span and a model keeps as much of each as the budget lets it keep"
WORDS = SENTENCE.split()


@dataclass
class Run:
    """One folder with a configuration, and the project whose Snakefile runs there."""

    folder: Path
    project: Path

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it stands in the folder."""
        return yaml.safe_load((self.folder / "config.yaml").read_text())

    def change(self, **changes: object) -> None:
        """Write the configuration with other values for some of its keys."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config | changes, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        """The command line of Snakemake in this folder."""
        options = [*(() if "--configfile" in arguments else ("--configfile", "config.yaml")), "--cores", "2", *arguments]
        return [sys.executable, "-m", "snakemake", "-s", str(self.project / "Snakefile"), *options]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the folder; what it prints is in `stdout`."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a run would execute now."""
        output = self.snakemake("-n", *arguments)
        assert output.returncode == 0, output.stdout
        table = output.stdout.partition("Job stats:")[2].partition("total")[0]
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)\b", table, re.M) if rule != "all"}


def environment() -> dict[str, str]:
    """The environment of a run: one thread a process, and no run to belong to but its own."""
    return {key: value for key, value in os.environ.items() if key != "DRANK_RUN"} | {"OMP_NUM_THREADS": "1"}


def write_model(folder: Path) -> None:
    """A tiny random Llama with a word tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", *sorted(set(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 64}
    config = LlamaConfig(vocab_size=len(vocabulary), **shape, bos_token_id=0, eos_token_id=0, initializer_range=0.3)
    LlamaForCausalLM(config).save_pretrained(folder)


def write_inputs(folder: Path) -> None:
    """A model, texts, a task and the configuration that names them."""
    import json
    import random

    write_model(folder / "model")
    draw = random.Random(1)
    for split, count in (("train", 4000), ("test", 1500)):
        (folder / f"{split}.txt").write_text(" ".join(draw.choice(WORDS) for _ in range(count)))
    items = [
        {"context": " ".join(draw.choices(WORDS, k=4)), "choices": draw.sample(WORDS, 3), "gold": draw.randrange(3)} for _ in range(12)
    ]
    (folder / "task.jsonl").write_text("\n".join(map(json.dumps, items)))
    task = {
        "task": "words",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "task.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(task))
    config = {
        "models": {"tiny": {"path": "model"}},
        "corpora": {"words": {"files": {"train": "train.txt", "test": "test.txt"}}},
        "tasks": {"words": {"yaml": "task.yaml"}},
        "calibration": {"corpus": "words", "windows": 8, "length": 32},
        "ratios": [0.3],
        "methods": {"dense": {}, "svd-llm": {}, "d-rank": {"refit_from": 0.2}},
        "perplexity": {"corpora": ["words"], "length": 32, "windows": 8, "to_dense": False, "overfitting": 0},
        "zeroshot": {"tasks": ["words"]},
        "throughput": {"batch": 1, "prompt": 8, "generate": 4, "repeats": 2},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
