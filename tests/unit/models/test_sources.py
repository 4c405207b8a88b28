"""Models as directories of tensors: read one by one, in the orientation y = x W, and refused with reasons where they cannot be."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from drank.models import sources
from drank.models.families import FAMILIES
from drank.models.groups import Shape
from drank.models.sources import (
    SourceError,
    describe_source,
    directory_of,
    fingerprint,
    local_files_of,
    problems_of,
)
from drank.models.tensors import stored_tensors
from drank.models.tokenizer_files import REMEDY
from drank.models.weights import Checkpoint

LLAMA = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 5, "num_attention_heads": 4}
LLAMA |= {"num_key_value_heads": 2, "max_position_embeddings": 64}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A small model with grouped keys and values, and its directory."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **LLAMA))
    directory = tmp_path_factory.mktemp("llama")
    model.save_pretrained(directory)
    return model, Checkpoint(directory)


def test_matrices_are_transposed_linear_weights_in_float64(llama):
    model, checkpoint = llama
    module = model.model.layers[3].mlp.down_proj
    matrix = checkpoint.matrix(3, "down")
    assert matrix.shape == (40, 16) and matrix.dtype == torch.float64
    x = torch.randn(2, 40)
    torch.testing.assert_close((x.double() @ matrix).float(), module(x))


def test_a_group_stands_side_by_side_in_the_order_of_its_layers(llama):
    model, checkpoint = llama
    matrix = checkpoint.group_matrix(Shape("k", (2, 3), 16, 8))
    assert matrix.shape == (16, 16)
    for index, layer in enumerate((2, 3)):
        weight = model.model.layers[layer].self_attn.k_proj.weight.detach().T.double()
        assert torch.equal(matrix[:, 8 * index : 8 * index + 8], weight)


def test_groups_cover_every_layer_once_and_the_last_may_be_smaller(llama):
    _, checkpoint = llama
    shapes = checkpoint.shapes(2)
    by_role = {role: [shape for shape in shapes if shape.role == role] for role in FAMILIES["llama"].roles}
    assert [shape.role for shape in shapes] == [shape.role for role in FAMILIES["llama"].roles for shape in by_role[role]]
    for role, members in by_role.items():
        assert [layer for shape in members for layer in shape.layers] == list(range(5))
        sizes = [1] * 5 if role in ("o", "down") else [2, 2, 1]
        assert [len(shape.layers) for shape in members] == sizes
    assert [(s.rows, s.columns) for s in (by_role["q"][0], by_role["k"][0], by_role["up"][0], by_role["down"][0])] == [
        (16, 16),
        (16, 8),
        (16, 40),
        (40, 16),
    ]
    assert [len(shape.layers) for shape in checkpoint.shapes(5) if shape.role == "v"] == [5]
    assert len(checkpoint.shapes(1)) == 5 * 7


def test_shards_and_half_precision_read_the_same(llama, tmp_path):
    model, checkpoint = llama
    model.save_pretrained(tmp_path / "sharded", max_shard_size=6000)
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    sharded = Checkpoint(tmp_path / "sharded")
    for shape in checkpoint.shapes(2):
        assert torch.equal(sharded.group_matrix(shape), checkpoint.group_matrix(shape))
    half = AutoModelForCausalLM.from_pretrained(checkpoint.directory, dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    expected = checkpoint.matrix(1, "q").bfloat16().double()
    assert torch.equal(Checkpoint(tmp_path / "half").matrix(1, "q"), expected)


def test_checkpoints_of_a_base_model_lack_a_prefix(llama, tmp_path):
    model, checkpoint = llama
    model.model.save_pretrained(tmp_path / "base")
    bare = Checkpoint(tmp_path / "base")
    assert not any(name.startswith("model.") for name in stored_tensors(bare.directory))
    assert torch.equal(bare.matrix(4, "v"), checkpoint.matrix(4, "v"))


def test_a_tensor_that_is_not_there_is_named(llama, tmp_path):
    _, checkpoint = llama
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((checkpoint.directory / "config.json").read_text())
    with pytest.raises(SourceError, match=r"no tensor 'model\.layers\.0\.self_attn\.q_proj\.weight' among 1"):
        Checkpoint(tmp_path).shapes(1)


def test_a_block_that_is_not_there_is_named(llama):
    _, checkpoint = llama
    with pytest.raises(SourceError, match=r"no tensor of block 5, of which config\.json promises 5; fetch it again"):
        checkpoint.block_state(5)


def test_blocks_one_and_ten_are_not_mixed_up(tmp_path):
    tensors = {f"h.{layer}.ln_1.bias": torch.full((2,), float(layer)) for layer in (1, 10)} | {"wte.weight": torch.zeros(3)}
    save_file(tensors | {"h.1.attn.bias": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 11}))
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.layers == 11
    assert {name: value.tolist() for name, value in checkpoint.block_state(1).items()} == {"ln_1.bias": [1, 1]}
    assert list(checkpoint.other_state()) == ["transformer.wte.weight"]


def test_layers_of_different_shapes_share_no_basis(tmp_path):
    tensors = {f"model.layers.{i}.self_attn.q_proj.weight": torch.zeros(8 + 4 * (i == 1), 6) for i in range(2)}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 2}))
    with pytest.raises(ValueError, match=r"q: layers \(0, 1\) have matrices of different shapes.*group: 1"):
        Checkpoint(tmp_path).shapes(2)


def test_sources_are_places(tmp_path, monkeypatch):
    assert directory_of({"path": str(tmp_path)}) == tmp_path
    assert directory_of({"embedded": "docs-mha"}) == sources.MODELS / "docs-mha"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SourceError, match=r"model org/name is not in the local hub cache; run `drank run CONFIGURATION prefetch`"):
        directory_of({"hub": "org/name"})


def test_hub_models_are_found_in_the_local_cache_at_their_revision(tmp_path, monkeypatch):
    """The layout of the hub's own client: refs name commits, snapshots hold their files."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--name"
    for revision, commit in (("main", "a" * 40), ("v1", "b" * 40)):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text(commit)
    assert directory_of({"hub": "org/name"}).name == "a" * 40
    assert directory_of({"hub": "org/name", "revision": "v1"}).name == "b" * 40
    assert directory_of({"hub": "org/name", "revision": "b" * 40}).name == "b" * 40


def test_problems_are_found_without_building_the_model(llama, tmp_path, monkeypatch):
    _, checkpoint = llama
    assert problems_of({"path": str(checkpoint.directory)}) == [f"{checkpoint.directory} holds no tokenizer; {REMEDY}"]
    assert problems_of({"hub": "org/name"}) == []
    (missing,) = problems_of({"path": str(tmp_path / "none")})
    assert missing == f"{tmp_path / 'none'} holds no config.json, so it is no Hugging Face model directory"
    monkeypatch.setattr(sources, "MODELS", tmp_path / "models")
    (tmp_path / "models" / "docs-mha").mkdir(parents=True)
    (tmp_path / "models" / "docs-mha" / "config.json").write_text('{"model_type": "bloom"}')
    (unknown,) = problems_of({"embedded": "docs-mah"})
    assert unknown.endswith("embedded models: docs-mha")
    family, pickled, _ = problems_of({"embedded": "docs-mha"})
    assert "model_type 'bloom' is not a family drank knows" in family and "no .safetensors file" in pickled


def test_a_description_hashes_what_decides_a_result_and_no_more(llama, tmp_path):
    model, _ = llama
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("a card")
    (tmp_path / "model" / "tokenizer.model").write_bytes(b"pieces")
    source = {"path": str(tmp_path / "model")}
    facts = describe_source(source, "tiny")
    assert facts["name"] == "tiny" and facts["source"] == {"path": "model"}
    assert set(facts["files"]) == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.model"}
    assert facts["files"]["tokenizer.model"] == hashlib.sha256(b"pieces").hexdigest()
    assert facts["files"] == fingerprint(tmp_path / "model")
    json.dumps(facts)
    (tmp_path / "model" / "tokenizer.model").write_bytes(b"others")
    assert fingerprint(tmp_path / "model") != facts["files"]


def test_local_files_are_those_a_workflow_must_watch(llama):
    _, checkpoint = llama
    found = local_files_of({"path": str(checkpoint.directory)})
    assert [Path(path).name for path in found] == ["config.json", "generation_config.json", "model.safetensors"]
    assert local_files_of({"hub": "org/name"}) == []
