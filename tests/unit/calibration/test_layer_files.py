"""Statistics on disk, layer by layer, and what partial work is known by."""

from __future__ import annotations

import torch

from drank.calibration.layer_files import identity, layers_in, read_layer, write_layer
from tests.unit.interrupted import small_llama, windows


def test_layers_come_back_and_are_counted(tmp_path):
    for layer in range(12):
        write_layer(tmp_path, layer, {"x": torch.full((3, 3), float(layer), dtype=torch.float64).mT, "y": torch.ones(2)})
        assert layers_in(tmp_path) == layer + 1
    (tmp_path / ".layer-012.safetensors.7.part").touch()
    assert layers_in(tmp_path) == 12
    assert torch.equal(read_layer(tmp_path, 11, "x"), torch.full((3, 3), 11.0, dtype=torch.float64))


def test_partial_work_is_known_by_all_that_decides_it():
    model, ids = small_llama(), windows()
    first = identity(model, ids, 2, {"seed": 1}, "code")
    assert first == identity(small_llama(), ids.clone(), 2, {"seed": 1}, "code")
    others = [
        identity(model, ids.flip(0), 2, {"seed": 1}, "code"),
        identity(model, ids, 3, {"seed": 1}, "code"),
        identity(model, ids, 2, {"seed": 2}, "code"),
        identity(model, ids, 2, {"seed": 1}, "other code"),
        identity(small_llama(torch.float64), ids, 2, {"seed": 1}, "code"),
    ]
    assert all(other != first for other in others)
