"""The model card of an embedded model, written from what its training measured."""

from __future__ import annotations

import math
from typing import Any


def card(facts: dict[str, Any], config: dict[str, Any]) -> str:
    """The model card, in Markdown: what the model is, what it learnt from and how well."""
    heads = f"{config['num_attention_heads']} heads, {config['num_key_value_heads']} of keys and values"
    shape = f"{config['num_hidden_layers']} layers, hidden size {config['hidden_size']}, {heads}, MLP {config['intermediate_size']}"
    context = config["max_position_embeddings"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(facts["corpus_versions"].items()))
    rows = {
        "training set": facts["train_loss"],
        "validation set": facts["validation_loss"],
        "unigram model, validation set": facts["1gram_validation_loss"],
        "5-gram model (Kneser-Ney), validation set": facts["5gram_validation_loss"],
    }
    table = "\n".join(f"| {name} | {loss:.3f} | {math.exp(loss):.2f} |" for name, loss in rows.items())
    return f"""---
license: apache-2.0
library_name: transformers
language: en
---
# {facts["name"]}

A decoder of the Llama architecture with {facts["parameters"]:,} parameters ({shape}, tied embeddings, context {context}) and a
byte-level BPE tokenizer of {config["vocab_size"]} entries. It exists to be compressed: small enough for two cores, trained well enough that
compression costs something.

Trained from seed {facts["schedule"]["seed"]} on {facts["train_tokens"]:,} tokens of docstrings (drank's corpus `python-docs`, train
split; {versions}), {facts["tokens_seen"]:,.0f} tokens seen in {facts["seconds"] / 60:.0f} minutes on {facts["device"]}.
`make testbed` retrains it.

| text | loss (nats per token) | perplexity |
|---|---|---|
{table}

It knows the manner of Python documentation and nothing else: no use outside tests and demonstrations of compression is intended.
"""
