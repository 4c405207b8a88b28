"""The text of a GGUF file is split as the file says, and a split that transformers does not read, or not keep, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers

from drank.models import made_once
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.sources import directory_of, problems_of
from drank.testbed import MODELS
from tests.unit.gguf_file import needs_gguf, small, write

IDS = torch.arange(40, 72)[None]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made_once.failure.cache_clear()


@needs_gguf
@pytest.mark.parametrize("pre", ["smollm", "gpt-2"])
def test_text_is_split_as_the_file_says(pre: str, tmp_path: Path) -> None:
    ours = Tokenizer.from_file(str(MODELS / "docs-gqa" / "tokenizer.json"))
    digits = [pre_tokenizers.Digits(individual_digits=True)] if pre == "smollm" else []
    ours.pre_tokenizer = pre_tokenizers.Sequence([*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    theirs = load_tokenizer(directory_of({"gguf": str(write(tmp_path / "docs.gguf", pre=pre))}))
    for text in ("  1", "\n\n22", "[1.,  23]", "in 2024 and 1999"):
        assert theirs(text)["input_ids"] == ours.encode(text).ids


@needs_gguf
def test_a_qwen2_is_the_model_to_the_bit_and_splits_as_one(tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    model = small(Qwen2ForCausalLM, Qwen2Config)
    torch.nn.init.normal_(model.model.layers[1].self_attn.k_proj.bias)
    directory = directory_of({"gguf": str(write(tmp_path / "qwen.gguf", model=model, architecture="qwen2", pre="qwen2"))})
    with torch.inference_mode():
        assert torch.equal(load_model(directory, "float32")(input_ids=IDS).logits, model(input_ids=IDS).logits)
    assert load_tokenizer(directory).tokenize("a 12") == ["a", "Ġ", "1", "2"]


@needs_gguf
def test_a_split_that_transformers_does_not_read_is_told(tmp_path: Path) -> None:
    (problem,) = problems_of({"gguf": str(write(tmp_path / "docs.gguf", pre="viking"))})
    assert "the model would be another one: its text is split as viking, which transformers does not read of a GGUF" in problem


@needs_gguf
def test_a_split_that_transformers_does_not_keep_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    file = write(tmp_path / "qwen.gguf", model=small(Qwen2ForCausalLM, Qwen2Config), architecture="qwen2", pre="smollm")
    (problem,) = problems_of({"gguf": str(file)})
    assert "split as smollm, and a Qwen2Tokenizer, which transformers takes for its architecture, splits otherwise" in problem
    assert not [path for path in (tmp_path / "cache" / "drank" / "gguf").iterdir() if path.is_dir()]
