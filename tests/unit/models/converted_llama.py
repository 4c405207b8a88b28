"""A tiny Llama with random factors, for what does not depend on their values."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.allocation.plan import Plan
from drank.models.conversion import convert
from drank.models.groups import Group, Shape

PLAN = Plan("tiny", "test", 0.2, {}, (Group(Shape("q", (0, 1), 8, 8), 3.0, 3),))


def converted() -> LlamaForCausalLM:
    """Two layers that share the basis of their queries; nothing else is compressed."""
    config = LlamaConfig(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2)
    model = LlamaForCausalLM(config).eval()
    convert(model, PLAN.groups, {"q.00-01": (torch.randn(8, 3), torch.randn(3, 16))})
    return model
