"""What is not a whole model is refused: damaged files, tensors that do not fit, and any compressed one where drank is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.checkpoint import load_model, save
from drank.models.description import CheckpointError
from drank.models.families import FAMILIES
from drank.models.tensors import size_of


def test_a_process_without_drank_gets_an_error(compress, tmp_path):
    """All families, seal and guard, in one process; at full rank, where a basis can have the very shape of the dense weight."""
    for family in FAMILIES:
        model, plan = compress(family, group=1, keep=None)
        save(model, None, plan.groups, tmp_path / family)
    for family in ("mixtral", "qwen3_moe"):  # no low-rank module but in the experts, which transformers fuses
        for kinds in ({"gate", "up", "down"}, {"gate"}, {"down"}):
            model, plan = compress(family, dense={"q", "k", "v", "o", "gate", "up", "down"} - kinds)
            save(model, None, plan.groups, tmp_path / "-".join([family, *kinds]))
    code = """
import sys
from transformers import AutoConfig, AutoModelForCausalLM

def error_of(directory, **options):
    try:
        AutoModelForCausalLM.from_pretrained(directory, **options)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return "loaded"

for directory in sys.argv[1:]:
    sealed = error_of(directory, ignore_mismatched_sizes=True)
    assert "pip install drank" in sealed, (directory, sealed)
    config = AutoConfig.from_pretrained(directory)
    del config.quantization_config, config.transformers_weights
    guarded = error_of(directory, config=config)
    assert "mismatched" in guarded or "automatic conversion" in guarded, (directory, guarded)
assert "drank" not in sys.modules
"""
    directories = sorted(map(str, tmp_path.iterdir()))
    assert len(directories) == len(FAMILIES) + 6
    done = subprocess.run([sys.executable, "-c", code, *directories], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_truncated_and_corrupt_files_are_refused(compress, tmp_path):
    model, plan = compress("qwen3")
    directory = tmp_path / "model"
    save(model, None, plan.groups, directory)
    file = directory / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:100], whole[:4], b"", whole + b"\0", b"\x10\0\0\0\0\0\0\0" + b"x" * 64):
        file.write_bytes(damaged)
        for read in (load_model, size_of):
            with pytest.raises(CheckpointError, match=r"model\.safetensors .*rerun `compress`"):
                read(directory)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"missing: .*model\.safetensors"):
        load_model(directory)


def test_missing_shard_is_refused(compress, tmp_path):
    model, plan = compress("opt")
    save(model, None, plan.groups, tmp_path / "model", max_shard_size=8000)
    shard = sorted((tmp_path / "model").glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        load_model(tmp_path / "model")


def test_wrong_tensors_are_refused_all_at_once(compress, tmp_path):
    model, plan = compress("llama")
    save(model, None, plan.groups, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    query = "model.layers.0.self_attn.q_proj.coefficients.weight"
    tensors["model.layers.0.surplus.weight"] = torch.zeros(3)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], torch.nan)
    tensors[query] = tensors[query][:-1].contiguous()
    del tensors["model.layers.2.mlp.up_proj.basis.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path / "model")
    message = str(caught.value)
    assert "1 tensors missing: model.layers.2.mlp.up_proj.basis.weight" in message
    assert "1 tensors unexpected: model.layers.0.surplus.weight" in message
    assert f"1 tensors of another shape: {query}" in message
    assert "1 tensors not finite: model.norm.weight" in message
    assert str(tmp_path / "model") in message
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors.*up_proj\.basis\.weight"):
        size_of(tmp_path / "model")


def test_config_that_does_not_fit_is_refused(compress, tmp_path):
    model, plan = compress("mistral")
    save(model, None, plan.groups, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"]["groups"][0]["rows"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"q\.00-01: model\.layers\.0\.self_attn\.q_proj is 16 × 16, .* 17 × 16"):
        load_model(tmp_path / "model")
    config["quantization_config"]["format"] = 99
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="format 99"):
        load_model(tmp_path / "model")
