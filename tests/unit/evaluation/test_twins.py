"""Twins are models whose stored tensors agree in name, shape and type, whatever their values."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from drank.evaluation.twins import control, shapes_hash, twins_of

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
    assert twins_of({"svd": "x", "d-rank": "y"}) == {}
    seconds = {"svd": 1.0, "svd-llm": 1.1, "asvd": 1.2, "d-rank": 9.0, "a": 5.0, "b": 5.5}
    rounds = {name: [each] * 3 for name, each in seconds.items()}
    assert control(twins.values(), rounds).value == pytest.approx(1.2)
    assert control([["a", "b"]], rounds).value == pytest.approx(1.1)


def test_twins_that_lead_by_turns_come_out_equal_within_the_interval() -> None:
    wave = [1.0, 1.04] * 5
    value, low, high = control([["a", "b"]], {"a": wave, "b": [1.04, 1.0] * 5})
    assert low < 1 <= value < high == pytest.approx(1.04)


def test_a_twin_that_is_always_behind_does_not_whatever_slows_both() -> None:
    machine = [1.0, 3.0, 1.5, 1.0, 2.0, 1.0, 1.0, 9.0]
    behind = {"a": machine, "b": [1.02 * seconds for seconds in machine]}
    assert control([["a", "b"]], behind) == control([["b", "a"]], behind)
    assert control([["a", "b"]], behind).low == pytest.approx(1.02)


def test_of_many_pairs_one_in_twenty_may_not_fail_by_chance_alone() -> None:
    """Of fifteen pairs each has to hold at 1 − .05 / 15, which nine rounds cannot say."""
    rounds = {name: [1.0] * 9 for name in "abcdef"}
    assert math.isnan(control(["abcdef"], rounds).low) and control(["abcde"], rounds) == (1, 1, 1)


def test_one_pair_that_differs_is_not_hidden_behind_one_that_varies_more() -> None:
    rounds = {"a": [1.0] * 9, "b": [1.01] * 9, "c": [1.0] * 9, "d": [0.8, 1.25, 1.3] * 3}
    found = control([["a", "b"], ["c", "d"]], rounds)
    assert (found.low, found.value, found.high) == pytest.approx((1.01, 1.25, 1.3))


def test_without_twins_there_is_no_control() -> None:
    with pytest.raises(ValueError, match="nothing to tell the noise by"):
        control([["a"]], {"a": [1.0]})
