"""The plain inputs of a run, ways to make them odd, and what comes of them in this process: check, corpus, tokens, model, loss."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drank import corpora
from drank.config import check, methods_for, read_config, with_defaults
from drank.config.paths import rooted
from drank.corpora.windows import tokenize
from drank.evaluation.losses import window_losses
from drank.models.checkpoint import load_model, load_tokenizer
from drank.testbed import MODELS
from tests.unit.configurations import ROOT, SCHEMA

Odd = Callable[[Path], Any]
"""What makes the inputs in a folder odd."""

CONFIG = """models:
  m: {path: model}
corpora:
  t: {files: {train: train.txt, test: test.txt}}
calibration: {corpus: t, windows: 4, length: 64}
ratios: [0.3]
methods: {dense: {}, svd-llm: {}}
perplexity: {corpora: [t], length: 64, windows: 2}
"""
TEXT = (ROOT / "README.md").read_text("utf-8")
PARTS = [part for part in TEXT.split("\n\n") if part.strip()]
MATRIX = "model.layers.3.mlp.up_proj.weight"


def begin(folder: Path) -> Path:
    """The folder, with a copy of a shipped model, two texts of the repository and the configuration that names them."""
    shutil.copytree(MODELS / "docs-mha", folder / "model")
    (folder / "train.txt").write_text(TEXT, "utf-8")
    shutil.copy(ROOT / "CONTRIBUTING.md", folder / "test.txt")
    (folder / "config.yaml").write_text(CONFIG, "utf-8")
    return folder


def checked(folder: Path) -> dict[str, Any]:
    """The configuration of a folder as a run has it after its check."""
    config = with_defaults(rooted(read_config(folder / "config.yaml"), folder, folder), SCHEMA)
    check(config, folder)
    for model in config["models"]:
        methods_for(config, model)
    return config


def measured(folder: Path) -> tuple[str, float]:
    """The hash of the calibration text's ids and the perplexity of two windows; the working directory is the folder."""
    config = checked(folder)
    for name, source in config["corpora"].items():
        corpora.write(folder / f"{name}.parquet", source, corpora.read(source))
    tokenizer, rows = load_tokenizer("model"), json.loads((folder / "model/config.json").read_text()).get("vocab_size", 3072)
    train, test = (tokenize(tokenizer, folder / "t.parquet", "t", split, rows=rows) for split in ("train", "test"))
    train.sample(64, 4, 13)
    return train.ids_sha256, window_losses(load_model("model", "float32"), test.consecutive(64, 2), "t").perplexity


def written(old: str, new: str) -> Odd:
    """Other words in the configuration."""

    def change(folder: Path) -> None:
        text = (folder / "config.yaml").read_text("utf-8")
        assert old in text
        (folder / "config.yaml").write_text(text.replace(old, new, 1), "utf-8")

    return change


def text(data: bytes, name: str = "train.txt", more: str = "") -> Odd:
    """Other bytes as the calibration text, under that name."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)
        written("train: train.txt", f"train: {json.dumps(name)}{more}")(folder)

    return change


def told(file: str, **changes: Any) -> Odd:
    """Other entries in a JSON file of the model; None leaves one out."""

    def change(folder: Path) -> None:
        path = folder / "model" / file
        found = json.loads(path.read_text("utf-8")) | changes
        path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))

    return change


def pieces(**changes: Any) -> Odd:
    """Other settings of the model within tokenizer.json."""
    return lambda folder: told("tokenizer.json", model=json.loads((folder / "model/tokenizer.json").read_text())["model"] | changes)(folder)


def weights(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Odd:
    """Other tensors."""

    def changed(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        path = folder / "model/model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return changed
