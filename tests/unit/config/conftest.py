"""A valid configuration and the model that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def model(tmp_path) -> Path:
    """A Llama directory of 4 layers, hidden size 16, grouped keys and values, context 128; its tensors hold zeros."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    sides = {"self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16), "self_attn.v_proj": (8, 16), "self_attn.o_proj": (16, 16)}
    sides |= {"mlp.gate_proj": (40, 16), "mlp.up_proj": (40, 16), "mlp.down_proj": (16, 40)}
    save_file(
        {f"model.layers.{layer}.{path}.weight": torch.zeros(shape) for layer in range(4) for path, shape in sides.items()},
        directory / "model.safetensors",
    )
    config = {"model_type": "llama", "num_hidden_layers": 4, "max_position_embeddings": 128}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {}}}))
    return directory


@pytest.fixture
def valid(model, tmp_path) -> dict:
    (tmp_path / "train.txt").write_text("some text")
    (tmp_path / "test.txt").write_text("other text")
    files = {"train": str(tmp_path / "train.txt"), "test": [str(tmp_path / "test.txt")]}
    return {
        "models": {"tiny": {"path": str(model), "methods": {"d-rank": {"group": 1}}}},
        "corpora": {"mine": {"files": files}, "python-docs": {"embedded": "python-docs"}},
        "tasks": {"sections": {"embedded": "docs-section"}},
        "calibration": {"corpus": "mine", "length": 128},
        "ratios": [0.2, 0.4],
        "methods": {"dense": {}, "full-rank": {}, "svd-llm": {}, "d-rank": {}, "no-beta": {"base": "d-rank", "beta": 0}},
        "perplexity": {"corpora": ["mine", "python-docs"], "length": 64},
        "zeroshot": {"tasks": ["sections"]},
        "throughput": {"prompt": 96},
    }
