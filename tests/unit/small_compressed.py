"""A small compressed Llama as it is made: with plan, making, card and tokenizer in its folder. For tests only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from drank.allocation.plan import Plan
from drank.compression.making import Making
from drank.methods import METHODS
from drank.models.checkpoint import save
from drank.models.conversion import convert
from drank.models.groups import Group, Shape

GROUPS = (
    Group(Shape("q", (0, 1), 8, 8), 3.0, 3),
    Group(Shape("down", (0,), 12, 8), 3.0, 4),
    Group(Shape("down", (1,), 12, 8), 3.0, 8, dense=True),
)
HUB = {"source": {"hub": "org/base", "revision": "a" * 40}, "licence": "llama3.1", "files": {"model.safetensors": "b" * 64}}
FOLDER = {"source": {"path": "/home/somebody/models/tiny"}, "licence": "unknown", "files": {"model.safetensors": "b" * 64}}
TEXT = {"corpus": "wiki", "split": "train", "windows": 4, "length": 16, "seed": 13, "batch": 2, "text_sha256": "d" * 64}


def dense() -> LlamaForCausalLM:
    """The model before it is compressed."""
    config = LlamaConfig(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of as many words as the model knows, with two chat templates."""
    core = Tokenizer(WordLevel({f"w{number}": number for number in range(10)} | {"<unk>": 10}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    templates = {"default": "{{ messages }}", "tool_use": "{{ tools }}"}
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", chat_template=templates)


def compressed(directory: Path, base: dict[str, Any] | None = HUB, method: str = "d-rank", **options: Any) -> LlamaForCausalLM:
    """The model, saved into a directory as the rule `compress` does; `options` are those of `save`."""
    plan = Plan("tiny", method, 0.4, METHODS[method].settings(0.4), GROUPS, {**TEXT, "search": TEXT | {"split": "validation"}})
    making, model = Making(plan, "cpu", 2, base), dense()
    with making.stage("factors"), torch.random.fork_rng():
        torch.manual_seed(1)
        factors = {
            group.shape.name: (torch.randn(group.shape.rows, group.rank), torch.randn(group.rank, group.shape.width))
            for group in GROUPS
            if not group.dense
        }
        convert(model, GROUPS, factors)
    with making.stage("refit", TEXT):
        pass
    save(model, tokenizer(), GROUPS, directory, documents=making.documents, **options)
    return model
