"""Measurements from their beginning to their numbers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation.losses import losses_of
from drank.evaluation.perplexity import summarised
from drank.evaluation.zeroshot import answer_tasks, expanded
from drank.evaluation.zeroshot.scoring import scored


def evaluate_tasks(*args: Any, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of the tasks that `answer_tasks` is told of."""
    return scored(answer_tasks(*args, **options), expanded(args[2]).groups)


def measure(model: Any, texts: list[Any], *options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of the texts."""
    return summarised(texts, {text.corpus: losses_of(model, text, *options) for text in texts})


def llama(seed: int, noise: float = 0.0) -> LlamaForCausalLM:
    """A tiny random Llama of 50 tokens, its parameters disturbed by so much noise."""
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=50, max_position_embeddings=64, **shape)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += noise * torch.randn_like(parameter)
    return model
