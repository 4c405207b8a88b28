"""A byte-level model and the data of a task, as both sides of zero-shot evaluation need them."""

from __future__ import annotations

import pyarrow
import pyarrow.parquet
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from drank.corpora.windows import Tokens


@pytest.fixture(scope="module")
def tokenizer():
    """One token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={"<end>": 0} | {letter: number for number, letter in enumerate(alphabet, 1)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<end>", eos_token="<end>", pad_token="<end>")


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=256, **shape)).eval()


@pytest.fixture
def prompts(model):
    """The ids of every prompt that the model reads from now on; answers that it reads after one are left out."""
    seen = []

    def note(_module, _args, named):
        if named.get("past_key_values") is None:
            seen.extend(named["input_ids"].tolist())

    model.register_forward_pre_hook(note, with_kwargs=True)
    return seen


@pytest.fixture
def arc(tmp_path):
    rows = [
        {
            "id": str(i),
            "question": f"What is {i}?",
            "choices": {"text": ["a", "long, wrong and last", "b"], "label": list("ABC")},
            "answerKey": "B",
        }
        for i in range(6)
    ]
    path = tmp_path / "arc.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="session")
def nine_windows() -> Tokens:
    """Eight windows of 16 and a tail of 6: four batches, the last of one window."""
    ids = torch.randint(0, 50, (134,), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    return Tokens(ids, "toy", "test", "a" * 64, "b" * 64)
