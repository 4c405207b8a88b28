"""A Llama checkpoint of three layers with explicit inputs and output gradients, and the statistics of both on disk: for tests only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from drank.calibration.fisher_fit import kronecker_factors
from drank.calibration.layer_files import write_layer
from drank.calibration.passes import INPUT_SIDE, OUTPUT_SIDE
from drank.models.weights import Checkpoint

LAYERS, TOKENS, WINDOWS = 3, 40, 4

SIDES = {"q": (6, 6), "k": (6, 4), "v": (6, 4), "o": (6, 6), "gate": (6, 9), "up": (6, 9), "down": (9, 6)}
"""d1 and d2 of each projection: grouped keys and values, both d1 < d2 and d1 > d2."""

READS = {"q": "attention", "k": "attention", "v": "attention", "o": "heads", "gate": "mlp", "up": "mlp", "down": "hidden"}
PATHS = {role: f"self_attn.{role}_proj" for role in "qkvo"} | {role: f"mlp.{role}_proj" for role in ("gate", "up", "down")}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal random numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


@dataclass
class Calibration:
    """A model and what was seen of it: X by (input, layer), (tokens, d1), and the gradients by (role, layer), (windows, tokens, d2)."""

    checkpoint: Checkpoint
    moments: Path
    gradients: Path
    inputs: dict[tuple[str, int], np.ndarray]
    outputs: dict[tuple[str, int], np.ndarray]

    def matrix(self, role: str, layers: tuple[int, ...]) -> np.ndarray:
        """[W_1 … W_n]."""
        return np.hstack([self.checkpoint.matrix(layer, role).numpy() for layer in layers])

    def gradient(self, role: str, layer: int) -> np.ndarray:
        """∂(mean loss)/∂W = Σ xᵀg / N."""
        return self.inputs[READS[role], layer].T @ self.outputs[role, layer].reshape(TOKENS, -1) / TOKENS

    def write(self) -> None:
        """Write the statistics of the inputs and gradients as they stand."""
        for layer in range(LAYERS):
            found = {}
            for name in set(READS.values()):
                x = self.inputs[name, layer]
                found |= {name: x.T @ x, f"{name}.absolute": np.abs(x).mean(0), f"{name}.tokens": np.float64(len(x))}
            write_layer(self.moments, layer, {name: torch.as_tensor(values) for name, values in found.items()})
            found = {}
            for role in SIDES:
                g = self.outputs[role, layer]
                x = self.inputs[READS[role], layer].reshape(WINDOWS, -1, SIDES[role][0])
                by_window = np.einsum("wti,wtj->wij", x, g) / (TOKENS // WINDOWS)
                flat = g.reshape(TOKENS, -1)
                found |= {role: self.gradient(role, layer).astype("f"), f"{role}.outputs": flat.T @ flat / TOKENS}
                found |= {f"{role}.rows": (by_window**2).sum(2).mean(0)}
                inside, outside = kronecker_factors(torch.from_numpy(np.nan_to_num(by_window)))
                found |= {f"{role}.{INPUT_SIDE}": inside.numpy(), f"{role}.{OUTPUT_SIDE}": outside.numpy()}
            write_layer(self.gradients, layer, {name: torch.from_numpy(values) for name, values in found.items()})
        facts = {"windows": WINDOWS, "length": TOKENS // WINDOWS, "tokens": TOKENS, "tokens_read": TOKENS}
        (self.moments / "facts.json").write_text(json.dumps(facts))


def write_checkpoint(directory: Path, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Random weights of every projection, rounded to float16 first, so that every dtype holds the same model."""
    tensors = {}
    for layer in range(LAYERS):
        for index, (role, (rows, columns)) in enumerate(SIDES.items()):
            values = torch.from_numpy(draw(columns, rows, seed=10 * layer + index)).to(torch.float16)
            tensors[f"model.layers.{layer}.{PATHS[role]}.weight"] = values.to(dtype)
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": LAYERS}))
    return Checkpoint(directory)


def calibrated(folder: Path) -> Calibration:
    """A model and its statistics, in a folder; features differ in scale, and all differ between layers and inputs."""
    sides = {READS[role]: rows for role, (rows, _) in SIDES.items()}
    inputs, outputs = {}, {}
    for layer in range(LAYERS):
        for index, (name, width) in enumerate(sides.items()):
            inputs[name, layer] = draw(TOKENS, width, seed=1000 + 10 * layer + index) * np.logspace(0, 1, width)
        for index, (role, (_, columns)) in enumerate(SIDES.items()):
            scale = np.logspace(-1, 0, columns)
            outputs[role, layer] = draw(WINDOWS, TOKENS // WINDOWS, columns, seed=2000 + 10 * layer + index) * scale
    result = Calibration(write_checkpoint(folder / "model"), folder / "moments", folder / "gradients", inputs, outputs)
    for directory in (result.moments, result.gradients):
        directory.mkdir()
    result.write()
    return result
