"""An embedded model as a GGUF file, written as llama.cpp lays one out."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from drank.models.checkpoint import load_model
from drank.testbed import MODELS

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedModel


needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed; `make gguf` has it")


def dense() -> PreTrainedModel:
    return load_model(MODELS / "docs-gqa", "float32")


def small(kind: Any, settings: Any) -> PreTrainedModel:
    """A random model of a class, with the vocabulary of docs-gqa, whose matrices are as wide as blocks of every kind ask."""
    told: Any = dense().config
    same = {key: getattr(told, key) for key in ("vocab_size", "num_attention_heads", "num_key_value_heads", "max_position_embeddings")}
    torch.manual_seed(0)
    model: PreTrainedModel = kind(settings(hidden_size=768, intermediate_size=256, num_hidden_layers=2, tie_word_embeddings=True, **same))
    return model.eval()


def by_its_own_name(name: str) -> str:
    """A tensor of a Llama by the name that llama.cpp has for it."""
    known = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    parts |= {f"self_attn.{part}_proj": f"attn_{part if part != 'o' else 'output'}" for part in "qkvo"}
    parts |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}
    stem, _, last = name.rpartition(".")
    if stem in known:
        return f"{known[stem]}.{last}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{parts[part]}.{last}"


def rotated(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of Q or K in the order in which llama.cpp turns them: pairs side by side."""
    rows = len(weight) // heads
    return weight.view(heads, 2, rows // 2, -1).transpose(1, 2).reshape(weight.shape)


def as_blocks(array: np.ndarray, kind: str) -> np.ndarray:
    """A matrix in blocks of a kind, by gguf's own quantiser; of the kinds that it only reads, some blocks or other, the same each time."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

    sort = GGMLQuantizationType[kind]
    if not kind.endswith("_K"):
        return quants.quantize(array, sort)
    size, stored = GGML_QUANT_SIZES[sort]
    blocks = np.random.default_rng(0).integers(0, 256, (len(array), array.shape[1] // size, stored), np.uint8)
    scales = {"Q6_K": slice(-2, None), "Q4_K": slice(0, 4)}[kind]  # in float16, and finite
    blocks[..., scales] = np.full((scales.stop or 0) - scales.start >> 1, 1e-3, np.float16).view(np.uint8)
    return blocks.reshape(len(array), -1)


def write(
    path: Path,
    kind: str = "F32",
    without: str = "",
    beside: str = "",
    pre: str = "default",
    tokenizer: str = "gpt2",
    model: PreTrainedModel | None = None,
    stated: Mapping[str, str | int] | None = None,
    **metadata: str,
) -> Path:
    """A model, docs-gqa where none is given, as a GGUF file with the tokenizer of docs-gqa, its matrices in blocks of this kind.

    `beside` is the name of a tensor more, `pre` how text is split, `tokenizer` its kind or nothing, `stated` what is said besides.
    """
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter

    model = model or dense()
    told: Any = model.config
    architecture = metadata.pop("architecture", "llama")
    writer = GGUFWriter(str(path), architecture)
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
    for key, said in (stated or {}).items():
        (writer.add_string if isinstance(said, str) else writer.add_uint32)(key, said)
    if tokenizer:
        _add_tokenizer(writer, tokenizer, pre, told)
    sort = GGMLQuantizationType[kind]
    for name, value in model.state_dict().items():
        if name == without or (name == "lm_head.weight" and told.tie_word_embeddings):
            continue
        turned = {"q_proj": told.num_attention_heads, "k_proj": told.num_key_value_heads} if architecture == "llama" else {}
        heads = turned.get(name.split(".")[-2], 0)
        array = (rotated(value, heads) if heads else value).float().numpy()
        fits = array.ndim == 2 and kind != "F32" and array.shape[1] % GGML_QUANT_SIZES[sort][0] == 0
        stored = as_blocks(array, kind) if fits else array.astype(np.float32)
        writer.add_tensor(by_its_own_name(name), stored, raw_dtype=sort if fits else None)
    if beside:
        writer.add_tensor(beside, np.ones(16, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: GGUFWriter, kind: str, pre: str, told: Any) -> None:
    tokenizer = json.loads((MODELS / "docs-gqa" / "tokenizer.json").read_text("utf-8"))
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([*vocabulary, *(f"<unused{n}>" for n in range(told.vocab_size - len(vocabulary)))])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(told.bos_token_id or 0)
    writer.add_eos_token_id(told.eos_token_id or 0)


def write_part(path: Path, number: int, count: int) -> Path:
    """A part of a GGUF file that was split, without its tensors; parts behind the first do not say their architecture."""
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    if number:
        del writer.kv_data[0]["general.architecture"]
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", count)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
