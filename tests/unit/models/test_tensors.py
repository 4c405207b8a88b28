"""drank.models.tensors: headers, counts and the description of a checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from drank.models.description import CheckpointError, describe, described
from drank.models.groups import Group, Shape
from drank.models.headers import StoredTensor
from drank.models.tensors import StoredSize, module_name, size_of, stored_name, stored_tensors

GROUPS = (Group(Shape("q", (0, 1), 8, 4), 2.5, 3), Group(Shape("down", (1,), 6, 8), 2.0, 6, dense=True))


def write(directory: Path, tensors: dict[str, np.ndarray], quantization: object = None, model_type: str = "llama") -> Path:
    directory.mkdir(exist_ok=True)
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": model_type, "quantization_config": quantization}))
    return directory


def compressed() -> dict[str, np.ndarray]:
    layer = "model.layers.{}.self_attn.q_proj.{}"
    return {
        layer.format(0, "weight"): np.zeros(0, np.float16),
        layer.format(0, "basis.weight"): np.zeros((3, 8), np.float16),
        layer.format(0, "coefficients.weight"): np.zeros((4, 3), np.float16),
        layer.format(0, "coefficients.bias"): np.zeros(4, np.float16),
        layer.format(1, "weight"): np.zeros(0, np.float16),
        layer.format(1, "coefficients.weight"): np.zeros((4, 3), np.float16),
        "model.layers.1.mlp.down_proj.weight": np.zeros((8, 6), np.float16),
        "lm_head.weight": np.zeros((10, 8), np.float16),
    }


def test_size_of_compressed_counts_stored_tensors(tmp_path):
    kept, dense = 3 * 8 + 2 * 4 * 3 + 48, 2 * 8 * 4 + 48
    total = kept + 4 + 80
    size = size_of(write(tmp_path, compressed(), describe(GROUPS)))
    assert size == StoredSize(total, 2 * total, pytest.approx(1 - kept / dense), pytest.approx(1 - total / (total - kept + dense)))


@pytest.mark.parametrize("quantization", [None, {"quant_method": "gptq"}])
def test_size_of_other_models_has_no_ratio(tmp_path, quantization):
    assert size_of(write(tmp_path, compressed(), quantization)) == StoredSize(180, 360, 0.0, 0.0)


def test_size_of_names_what_is_lacking(tmp_path):
    tensors = compressed()
    del tensors["model.layers.1.self_attn.q_proj.coefficients.weight"], tensors["model.layers.1.mlp.down_proj.weight"]
    with pytest.raises(CheckpointError, match=r"lacks 2 tensors .*layers\.1\.self_attn\.q_proj\.coef.*, .*down_proj\.weight; rerun"):
        size_of(write(tmp_path, tensors, describe(GROUPS)))


def test_size_of_a_mixture_counts_its_experts_by_the_names_in_the_files(tmp_path):
    groups = (Group(Shape("gate.1", (0, 1), 8, 6), 2.0, 2), Group(Shape("down.0", (1,), 6, 8), 2.0, 3, dense=True))
    expert = "model.layers.{}.block_sparse_moe.experts.{}.{}.weight"
    tensors = {
        expert.format(0, 1, "w1"): np.zeros(0, np.float16),
        expert.format(0, 1, "w1.basis"): np.zeros((2, 8), np.float16),
        expert.format(0, 1, "w1.coefficients"): np.zeros((6, 2), np.float16),
        expert.format(1, 1, "w1.coefficients"): np.zeros((6, 2), np.float16),
        expert.format(1, 0, "w2"): np.zeros((8, 6), np.float16),
        expert.format(1, 0, "w3"): np.zeros((6, 8), np.float16),
    }
    kept, dense = 16 + 12 + 12 + 48, 2 * 48 + 48
    size = size_of(write(tmp_path, tensors, describe(groups), "mixtral"))
    assert size == StoredSize(kept + 48, 2 * (kept + 48), pytest.approx(1 - kept / dense), pytest.approx(1 - (kept + 48) / (dense + 48)))


def test_masks_and_frequencies_of_old_checkpoints_are_no_parameters(tmp_path):
    """GPT-2 on the hub stores its causal masks, a million values a layer, which no model loads."""
    tensors = {"h.0.attn.c_attn.weight": np.zeros((4, 12), np.float32), "h.0.attn.c_attn.bias": np.zeros(12, np.float32)}
    masks = {"h.0.attn.bias": np.zeros((1, 1, 9, 9), np.float32), "h.0.attn.masked_bias": np.zeros(1, np.float32)}
    write(tmp_path, tensors | masks, model_type="gpt2")
    assert set(stored_tensors(tmp_path)) == set(tensors)
    assert size_of(tmp_path) == StoredSize(60, 240, 0.0, 0.0)


@pytest.mark.parametrize(
    ("model_type", "stored", "own"),
    [
        ("llama", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("mixtral", "model.layers.0.block_sparse_moe.experts.1.w2.basis.weight", "model.layers.0.mlp.experts.1.down_proj.basis.weight"),
        ("mixtral", "model.layers.0.block_sparse_moe.gate.weight", "model.layers.0.mlp.gate.weight"),
        ("gpt_neox", "embed_out.weight", "lm_head.weight"),
        ("gpt2", "transformer.h.1.ln_1.bias", "transformer.h.1.ln_1.bias"),
        ("opt", "lm_head.weight", "lm_head.weight"),
    ],
)
def test_names_in_files_and_in_modules(model_type, stored, own):
    assert module_name(model_type, stored) == module_name(model_type, own) == own
    assert stored_name(model_type, own) == stored


def test_the_prefix_of_a_base_model_is_put_back():
    assert module_name("gpt2", "h.1.ln_1.bias") == "transformer.h.1.ln_1.bias"
    assert module_name("opt", "decoder.layers.1.fc1.bias") == "model.decoder.layers.1.fc1.bias"
    assert module_name("gpt_neox", "embed_in.weight") == "gpt_neox.embed_in.weight"


def test_description_survives_json():
    text = json.dumps(describe(GROUPS), allow_nan=False)
    back = described(json.loads(text))
    assert [replace(group, effective_rank=0.0) for group in back] == [replace(group, effective_rank=0.0) for group in GROUPS]


@pytest.mark.parametrize(
    "broken", [{}, {"format": 3, "groups": []}, {"format": 1}, {"format": 1, "groups": [{"role": "q"}]}, {"format": 1, "groups": 3}]
)
def test_malformed_description_is_refused(broken):
    with pytest.raises(CheckpointError, match="rerun `compress`"):
        described(broken)


@given(shapes=st.lists(st.lists(st.integers(0, 5), max_size=3), max_size=5))
def test_headers_say_what_safetensors_wrote(shapes, tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    tensors = {f"t{index}": np.full(shape, index, np.float32) for index, shape in enumerate(shapes)}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    data, found = (directory / "model.safetensors").read_bytes(), stored_tensors(directory)
    assert {name: replace(tensor, start=0) for name, tensor in found.items()} == {
        name: StoredTensor(name, directory / "model.safetensors", value.shape, value.nbytes, "F32", 0) for name, value in tensors.items()
    }
    assert all(data[one.start : one.start + one.bytes] == tensors[name].tobytes() for name, one in found.items())
    assert sum(tensor.elements for tensor in stored_tensors(directory).values()) == sum(value.size for value in tensors.values())


def test_shards_are_read_together_and_missing_ones_named(tmp_path):
    for name in ("a", "b"):
        save_file({name: np.zeros(3)}, tmp_path / f"{name}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}))
    assert set(stored_tensors(tmp_path)) == {"a", "b"}
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"missing: .*a\.safetensors, .*b\.safetensors; drank reads safetensors only"):
        stored_tensors(tmp_path)


@given(cut=st.integers(0, 200), junk=st.binary(max_size=40))
def test_anything_but_the_whole_file_is_refused(cut, junk, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_file({"t": np.zeros((5, 7), np.float32)}, file)
    whole = file.read_bytes()
    damaged = whole[: max(0, len(whole) - cut)] + junk
    if len(damaged) != len(whole):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors .*rerun `compress`"):
            stored_tensors(file.parent)


def test_needs_no_torch():
    code = "import sys, drank.models.tensors; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
