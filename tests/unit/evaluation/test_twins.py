"""Twins are models whose stored tensors agree in name, shape and type, whatever their values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from drank.evaluation.twins import noise_ratio, shapes_hash, twins_of

SHAPES = {"a.weight": (3, 4), "b.weight": (2, 2)}


def stored(folder: Path, value: float = 0.0, dtype: torch.dtype = torch.float32, **changed: object) -> str:
    """The hash of a model directory with tensors of these shapes, all of one value."""
    config = {"model_type": "llama"} | {key: found for key, found in changed.items() if key not in ("a", "c")}
    shapes = SHAPES | {f"{key}.weight": found for key, found in changed.items() if key in ("a", "c")}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: torch.full(shape, value, dtype=dtype) for name, shape in shapes.items()}, folder / "model.safetensors")
    return shapes_hash(folder)


def test_values_do_not_matter_and_shapes_names_types_and_packing_do(tmp_path: Path) -> None:
    first = stored(tmp_path / "first")
    assert stored(tmp_path / "second", value=1.0) == first
    ours = {"quant_method": "drank", "drank_version": "9"}
    assert stored(tmp_path / "ours", quantization_config=ours) == first, "its ranks are the shapes of its tensors"
    others = [
        stored(tmp_path / "shape", a=(4, 3)),
        stored(tmp_path / "more", c=(1,)),
        stored(tmp_path / "type", dtype=torch.bfloat16),
        stored(tmp_path / "model", model_type="mistral"),
        stored(tmp_path / "packed", quantization_config={"quant_method": "gptq", "bits": 4}),
        stored(tmp_path / "finer", quantization_config={"quant_method": "gptq", "bits": 8}),
    ]
    assert len({first, *others}) == 7


def test_the_noise_is_the_largest_ratio_within_twins_and_never_across() -> None:
    twins = twins_of({"svd": "x", "svd-llm": "x", "asvd": "x", "d-rank": "y", "a": "z", "b": "z"})
    assert twins == {"x": ["svd", "svd-llm", "asvd"], "z": ["a", "b"]}
    speeds = {"svd": 1.0, "svd-llm": 1.1, "asvd": 1.2, "d-rank": 9.0, "a": 5.0, "b": 5.5}
    assert noise_ratio(twins.values(), speeds) == pytest.approx(1.2)
    assert noise_ratio([["a", "b"]], speeds) == pytest.approx(1.1)
    assert twins_of({"svd": "x", "d-rank": "y"}) == {}
