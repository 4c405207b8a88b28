"""Every family: a compressed model with code of its own has its logits where there is no drank, and is refused where it is not whole."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, modeling_utils
from transformers.utils import PushToHubMixin

from drank.models.checkpoint import save
from drank.models.exports import remote_code
from drank.models.exports.modeling_drank import SEAL
from drank.models.exports.remote_code import add_code
from drank.models.families import FAMILIES
from drank.models.quantizer import OLDEST_TRANSFORMERS
from tests.contract.forward import logits_of
from tests.contract.test_transformers_versions import VERSIONS, run

SOURCE = Path(remote_code.__file__).with_name(remote_code.CODE)


@pytest.fixture
def exported(compress, tiny_tokenizer, tmp_path):
    """Compresses a tiny model, saves and exports it; gives the model and the directory of the export."""

    def build(family, name="export", max_shard_size="5GB", **options):
        model, plan = compress(family, **options)
        save(model, tiny_tokenizer, plan.groups, tmp_path / f"{name}-model")
        return model, add_code(tmp_path / f"{name}-model", tmp_path / name, max_shard_size)

    return build


def changed(directory, change, file="model.safetensors"):
    """Apply a function to the tensors of a directory."""
    tensors = load_file(directory / file)
    change(tensors)
    save_file(tensors, directory / file, metadata={"format": "pt"})


def load(directory, cls=AutoModelForCausalLM, **options):
    return cls.from_pretrained(directory, trust_remote_code=True, **options).eval()


@pytest.mark.slow
@pytest.mark.parametrize("folders", VERSIONS.values(), ids=VERSIONS)
def test_logits_are_those_of_the_compressed_model_without_drank(folders, exported, tokens, tmp_path):
    """All families in one process: bases shared, some projections dense, heads tied and not, shards; saved and loaded again; no trust."""
    expected = {}
    for number, family in enumerate(FAMILIES):
        dense = ({"o"}, {"v", "qkv"}, set())[number % 3]
        options = {"tie_word_embeddings": number % 2 == 0, "max_shard_size": 8000 if number % 3 else "5GB"}
        model, _ = exported(family, family, dense=dense, **options)
        expected[family] = logits_of(model, tokens)
    save_file({"tokens": tokens}, tmp_path / "tokens.safetensors")
    places = [tmp_path / "tokens.safetensors", tmp_path / "saved", tmp_path / "results.safetensors"]
    said = json.loads(run(folders, "load_remote_code.py", *places, *(tmp_path / family for family in FAMILIES), cwd=tmp_path))
    assert (said.pop("version") == transformers.__version__) == (folders == [])
    results = load_file(places[-1])
    for family, logits in expected.items():
        found = {name.partition(".")[2]: value for name, value in results.items() if name.partition(".")[0] == family}
        assert logits.abs().mean() > 0.1
        torch.testing.assert_close(found["logits"], logits, rtol=1e-5, atol=1e-5, msg=family)
        assert torch.equal(found["again"], found["logits"]), family
        assert torch.equal(found["base"], found["hidden"]), family
        assert torch.equal(found["cached"], found["uncached"]), family
    assert len(said) == 2 * len(FAMILIES)
    for name, refused in said.items():
        assert all(error and "trust_remote_code=True" in error for error in refused["sealed"]), (name, refused)
        assert refused["guarded"] and "ismatch" in refused["guarded"], (name, refused)


def test_an_export_has_the_tensors_of_the_model_and_nothing_of_drank(exported, family, tokens):
    """bfloat16 is kept; the code imports torch and transformers alone."""
    model, directory = exported(family, dtype=torch.bfloat16)
    loaded = load(directory, dtype="auto")
    assert loaded.dtype == torch.bfloat16
    torch.testing.assert_close(loaded(tokens, use_cache=False).logits, logits_of(model, tokens), rtol=0, atol=0)
    files = {path.name for path in directory.iterdir()}
    assert {"README.md", "generation_config.json", "tokenizer.json", remote_code.CODE} <= files and "plan.json" not in files
    config = json.loads((directory / "config.json").read_text())
    assert "quantization_config" not in config and config["transformers_weights"] == SEAL
    imports = [node for node in ast.walk(ast.parse(SOURCE.read_text("utf-8"))) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"torch", "transformers"}


@pytest.mark.parametrize(("family", "scale"), [("granite", 0.5), ("llama", None)])
def test_servers_are_told_the_scale_of_logits_and_people_the_version(family, scale, exported):
    """A server that runs transformers' modules makes logits of the hidden states itself, and knows no division of Granite's."""
    _, directory = exported(family)
    assert json.loads((directory / "config.json").read_text()).get("logit_scale") == scale
    assert f"transformers {OLDEST_TRANSFORMERS} or\nnewer" in (directory / "README.md").read_text()


def test_swapped_factors_change_the_logits(exported, tokens):
    model, directory = exported("llama", group=1)

    def swap(tensors):
        first, second = (f"model.layers.{layer}.self_attn.q_proj.coefficients.weight" for layer in (0, 1))
        tensors[first], tensors[second] = tensors[second], tensors[first]

    changed(directory, swap)
    assert (load(directory)(tokens, use_cache=False).logits - logits_of(model, tokens)).abs().max() > 0.01


DAMAGES = {
    "basis": lambda tensors: [tensors.pop("model.layers.0.self_attn.q_proj.basis.weight")],
    "coefficients": lambda tensors: [tensors.pop(f"model.layers.{n}.mlp.up_proj.coefficients.weight") for n in (0, 2)],
    "bias": lambda tensors: [tensors.pop("model.layers.1.self_attn.k_proj.coefficients.bias")],
    "norm": lambda tensors: [tensors.pop("model.layers.1.input_layernorm.weight")],
    "rank": lambda tensors: cut(tensors, "model.layers.0.self_attn.q_proj.basis.weight"),
    "shape": lambda tensors: cut(tensors, "model.layers.2.mlp.down_proj.coefficients.weight"),
    "unknown": lambda tensors: tensors.update({"model.layers.1.self_attn.q_proj.basis.weight": torch.zeros(2, 2)}),
    "unknown bias": lambda tensors: tensors.update({"model.layers.1.mlp.up_proj.bias": torch.zeros(40)}),
}
NAMES = {
    "basis": ["model.layers.0.self_attn.q_proj.basis.weight: missing"],
    "coefficients": [f"model.layers.{n}.mlp.up_proj.coefficients.weight: missing" for n in (0, 2)],
    "bias": ["model.layers.1.self_attn.k_proj.coefficients.bias: missing"],
    "norm": ["model.layers.1.input_layernorm.weight: missing"],
    "rank": ["model.layers.0.self_attn.q_proj.basis.weight: of shape (9, "],
    "shape": ["model.layers.2.mlp.down_proj.coefficients.weight: of shape (15, "],
    "unknown": ["model.layers.1.self_attn.q_proj.basis.weight: unexpected"],
    "unknown bias": ["model.layers.1.mlp.up_proj.bias: unexpected"],
}


def cut(tensors, name):
    tensors[name] = tensors[name][:-1].contiguous()


def test_what_is_uploaded_while_it_is_saved_is_sealed(exported, tmp_path, monkeypatch):
    _, directory = exported("llama")
    sent = []
    upload = "_upload_modified_files"
    monkeypatch.setattr(PushToHubMixin, upload, lambda model, place, *given, **options: sent.append((place / "config.json").read_text()))
    monkeypatch.setattr(HfApi, "create_repo", lambda api, name, **options: SimpleNamespace(repo_id=name))
    monkeypatch.setattr(modeling_utils, "create_and_tag_model_card", lambda *given, **options: SimpleNamespace(save=Path))
    load(directory).save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id="me/coded")
    assert [json.loads(config)["transformers_weights"] for config in sent] == [SEAL]


@pytest.mark.parametrize("lenient", [False, True])
def test_what_is_not_whole_is_refused_by_name(exported, lenient):
    """Also where the caller asks to ignore sizes: random weights are never what comes up."""
    _, directory = exported("qwen2")
    whole = (directory / "model.safetensors").read_bytes()
    for kind, damage in DAMAGES.items():
        (directory / "model.safetensors").write_bytes(whole)
        changed(directory, damage)
        with pytest.raises(ValueError, match="holds no whole model of this kind; fetch it again") as caught:
            load(directory, ignore_mismatched_sizes=lenient)
        for name in NAMES[kind]:
            assert name in str(caught.value), (kind, str(caught.value))


@pytest.mark.parametrize("storage", ["pivoted"], indirect=True)
def test_pivots_that_are_not_different_inputs_are_refused(exported):
    _, directory = exported("qwen2")
    name = "model.layers.0.self_attn.q_proj.order"
    whole = (directory / "model.safetensors").read_bytes()
    twice = int(load_file(directory / "model.safetensors")[name][1])
    for wrong in (twice, 16, -1):
        (directory / "model.safetensors").write_bytes(whole)
        changed(directory, lambda tensors, wrong=wrong: tensors[name].__setitem__(0, wrong))
        with pytest.raises(ValueError, match=f"{name}: does not have each of the 16 inputs once"):
            load(directory)
    (directory / "model.safetensors").write_bytes(whole)
    changed(directory, lambda tensors: tensors.pop(name))
    with pytest.raises(ValueError, match=f"{name}: missing"):
        load(directory)
