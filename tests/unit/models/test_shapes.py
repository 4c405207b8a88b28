"""Shapes as models: drawn once, the same everywhere, whole in every family and storage, and refused in words where they are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoConfig

from drank.models import made_once, random_weights, shapes
from drank.models.checkpoint import load_model
from drank.models.conversion import skeleton
from drank.models.description import describe
from drank.models.groups import Group, Shape
from drank.models.random_weights import empty_model, is_random, write_random
from drank.models.soundness import unsound
from drank.models.sources import SourceError, describe_source, directory_of, identity_of, local_files_of, problems_of
from drank.models.tensors import INDEX, size_of
from drank.runtime.files import read_json
from tests.contract.conftest import CONFIGS

LLAMA: dict[str, Any] = {"model_type": "llama", **CONFIGS["llama"]}
IDS = torch.arange(8)[None]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made_once.failure.cache_clear()


def made(shape: dict[str, Any], directory: Path) -> Path:
    """A shape drawn in this process."""
    shapes.draw(json.dumps({"shape": shape, "strict": True}), directory)
    return directory


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in directory.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_every_family_is_a_whole_model_that_computes(family: str, tmp_path: Path) -> None:
    directory = made({"model_type": family, **CONFIGS[family]}, tmp_path / family)
    assert not list(unsound(directory)) and is_random(read_json(directory / "config.json"))
    model = load_model(directory)
    assert model.dtype == torch.bfloat16
    with torch.inference_mode():
        assert model(input_ids=IDS).logits.isfinite().all()


def test_it_is_a_source_like_any_other_made_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    source, filed = {"shape": LLAMA}, {"shape": str(tmp_path / "config.json")}
    assert not problems_of(source), "and needs no tokenizer"
    directory = directory_of(source)
    written = (directory / "config.json").stat().st_mtime_ns
    assert directory_of(filed) == directory and (directory / "config.json").stat().st_mtime_ns == written
    assert directory.parent == tmp_path / "cache/drank/shapes"
    assert local_files_of(source) == [] and local_files_of(filed) == [filed["shape"]]
    assert describe_source(source, "it") == describe_source(filed, "it") and describe_source(source, "it")["source"]["shape"] == LLAMA
    assert identity_of(source) == identity_of(filed)


def test_it_is_the_same_to_the_bit_however_many_files_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights_of(made(LLAMA, tmp_path / "whole"))
    monkeypatch.setattr(random_weights, "SHARD", 4000)
    parts = made(LLAMA, tmp_path / "parts")
    again = weights_of(parts)
    assert len(list(parts.glob("*.safetensors"))) > 3 and set(read_json(parts / INDEX)["weight_map"]) == set(again) == set(whole)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    with torch.inference_mode():
        logits = [load_model(tmp_path / name)(input_ids=IDS).logits for name in ("whole", "parts")]
    assert torch.equal(*logits)


def test_entries_have_the_spread_that_the_shape_says_and_an_output_that_is_tied_is_stored_once(tmp_path: Path) -> None:
    wide = {**LLAMA, "hidden_size": 256, "initializer_range": 0.05, "dtype": "float32", "tie_word_embeddings": True}
    found = weights_of(made(wide, tmp_path / "wide"))
    matrix = found["model.layers.1.self_attn.q_proj.weight"]
    assert matrix.dtype == torch.float32 and matrix.std().item() == pytest.approx(0.05, rel=0.01) and abs(matrix.mean()) < 1e-3
    assert "lm_head.weight" not in found and (found["model.norm.weight"] == 1).all()


@settings(max_examples=20, deadline=None)
@given(rank=st.integers(1, 16), storage=st.sampled_from(["factors", "pivoted"]), group=st.integers(1, 2), dense=st.booleans())
def test_compressed_it_stores_what_its_groups_promise_and_computes(
    rank: int, storage: str, group: int, dense: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("compressed")
    layers = [tuple(range(start, min(start + group, 3))) for start in range(0, 3, group)]
    groups = [Group(Shape("q", members, 16, 16, storage), 1.0, rank) for members in layers]
    groups += [Group(Shape("o", (0,), 16, 16, storage), 1.0, 16, dense=True)] if dense else []
    model = empty_model(AutoConfig.for_model(**LLAMA), torch.float32)
    skeleton(model, groups)
    model.config.quantization_config = describe(groups)
    write_random(model, directory)
    kept = sum(one.parameters for one in groups)
    assert size_of(directory).ratio_stored == pytest.approx(1 - kept / sum(one.shape.dense_parameters for one in groups))
    with torch.inference_mode():
        assert load_model(directory)(input_ids=IDS).logits.isfinite().all()


def test_what_is_not_compressed_is_what_it_was(tmp_path: Path) -> None:
    groups = [Group(Shape("q", (0,), 16, 16), 1.0, 4)]
    model = empty_model(AutoConfig.for_model(**LLAMA), torch.bfloat16)
    skeleton(model, groups)
    model.config.quantization_config = describe(groups)
    write_random(model, tmp_path)
    dense, ours = weights_of(made(LLAMA, tmp_path / "dense")), weights_of(tmp_path)
    alike = [name for name in dense if name in ours and dense[name].shape == ours[name].shape]
    assert len(alike) == len(dense) - 1 and all(torch.equal(dense[name], ours[name]) for name in alike)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": None}, "'None' is not a family"),
        ({"model_type": "lama"}, "did you mean llama?"),
        ({"hidden_size": None, "vocab_size": None}, "does not say hidden_size or n_embd, vocab_size"),
        ({"dtype": "int8"}, "the shape says dtype int8, and weights are drawn in bfloat16, float16, float32"),
        ({"quantization_config": {"bits": 4}}, "leave it out"),
    ],
)
def test_what_is_no_shape_is_told(change: dict[str, Any], said: str) -> None:
    (problem,) = problems_of({"shape": LLAMA | change})
    assert said in problem


@pytest.mark.parametrize(
    ("change", "said"), [({"hiden_size": 8}, "hiden_size (did you mean hidden_size"), ({"hidden_size": "big"}, "expected int, got str")]
)
def test_what_transformers_does_not_take_is_told_and_leaves_nothing(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the shape llama: transformers builds no model of it") as error:
        directory_of({"shape": LLAMA | change})
    assert said in str(error.value)
    assert not [path for path in (tmp_path / "cache/drank/shapes").iterdir() if path.is_dir()]


def test_a_config_that_is_not_there_or_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]", "utf-8")
    assert "cannot be read" in problems_of({"shape": str(tmp_path / "nowhere.json")})[0]
    assert "holds no keys and values" in problems_of({"shape": str(tmp_path / "list.json")})[0]
