"""An embedded model as a GGUF file, written as llama.cpp lays one out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drank.models.checkpoint import load_model
from drank.testbed import MODELS

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


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


def write(path: Path, kind: str = "F32", without: str = "", scaling: str = "", beside: str = "", **metadata: str) -> Path:
    """The embedded model docs-gqa as a GGUF file, its matrices in blocks of this kind.

    `scaling` is the kind of scaling that it states for RoPE, `beside` the name of a tensor more.
    """
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
    if scaling:
        writer.add_string("llama.rope.scaling.type", scaling)
    if beside:
        writer.add_tensor(beside, np.ones(16, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
