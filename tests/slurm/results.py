"""What a run that was disturbed must have in common with one that was not, and what it must not leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from drank.runtime.files import file_hash, read_json
from tests.workflow.runs import WORDS, write_inputs

LAYERS = 12
TARGET = "results/summary.csv"  # every number; what comes after it draws and prints
MADE = ("moments", "gradients", "spectra", "slopes", "models")
RECORDS = ("perplexity", "zeroshot")


def write_resumable(folder: Path) -> None:
    """Inputs of a run whose resumable steps, one of each kind, take seconds and whose other steps are few."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder)
    torch.manual_seed(0)
    shape = {
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    }
    tokens = {"vocab_size": len(set(WORDS)) + 1, "bos_token_id": 0, "eos_token_id": 0}
    LlamaForCausalLM(LlamaConfig(**shape, **tokens, initializer_range=0.1)).save_pretrained(folder / "model")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for unneeded in ("throughput", "tasks", "zeroshot"):
        del config[unneeded]
    config["calibration"] = {"corpus": "words", "windows": 96, "length": 64, "batch": 4}
    config["methods"] = {"dense": {}, "zs-svd": {}}  # which reads moments, gradients and a spectrum
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def facts(folder: Path) -> dict[str, object]:
    """Hashes of all tensors, the plans and every number of the records of a run, by the path in its results."""
    results = folder / "results"
    found: dict[str, object] = {}
    for kind in MADE:
        for file in sorted((results / kind).rglob("*.safetensors")):
            found[str(file.relative_to(results))] = file_hash(file)
    for file in sorted((results / "plans").rglob("*.json")):
        found[str(file.relative_to(results))] = file.read_text("utf-8")
    for file in sorted(file for kind in RECORDS for file in (results / kind).rglob("*.json")):
        record = read_json(file)
        found[str(file.relative_to(results))] = (record["results"], record["detail"], record["size"])
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """The paths that two runs do not agree in."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def leftovers(folder: Path) -> list[str]:
    """What unfinished work a run has left behind in its results."""
    found = [path for path in (folder / "results").rglob(".*") if path.suffix in (".part", ".partial")]
    return sorted(str(path.relative_to(folder)) for path in found)


def copied(finished: Path, folder: Path, *without: str) -> Path:
    """A copy of a finished run, times and notes and all, that lacks some of its results (patterns in its folder of results)."""
    shutil.copytree(finished, folder, symlinks=True)
    for pattern in without:
        for path in list((folder / "results").glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder
