"""A small random Llama, windows for it, and processes that die while they run it block by block."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

LAYERS = 3

PLACES = ((0, "q", "self_attn.q_proj"), (1, "up", "mlp.up_proj"), (2, "down", "mlp.down_proj"))
"""A projection of each block: layer, role and path."""


def small_llama(dtype: torch.dtype = torch.float32, **overrides) -> PreTrainedModel:
    """A random model of three blocks in evaluation mode."""
    keys = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2, "max_position_embeddings": 32}
    config = AutoConfig.for_model("llama", num_hidden_layers=LAYERS, initializer_range=0.4, **(keys | overrides))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def windows() -> torch.Tensor:
    """Five windows of six ids; batches of 2 leave a last one of 1."""
    return torch.randint(0, 50, (5, 6), generator=torch.Generator().manual_seed(2))


class Killed(BaseException):
    """What a killed process does not live to see: nothing is cleaned up after it."""


def kill_after(monkeypatch, events: int) -> list[str]:
    """Make the process "die" after that many moves and removals of files, removals halfway; the list counts them."""
    import os
    import shutil

    import drank.runtime.files

    seen: list[str] = []
    replace, remove, tidy = os.replace, shutil.rmtree, drank.runtime.files.remove

    def dies() -> bool:
        return len(seen) >= events

    def counted_replace(source, target):
        if dies():
            raise Killed
        seen.append(f"move {Path(target).name}")
        replace(source, target)

    def counted_rmtree(path, *args, **kwargs):
        if dies():
            next(file for file in Path(path).rglob("*") if file.is_file()).unlink()
            raise Killed
        seen.append(f"remove {Path(path).name}")
        remove(path, *args, **kwargs)

    def counted_tidy(path):
        if not dies():
            tidy(path)

    monkeypatch.setattr(os, "replace", counted_replace)
    monkeypatch.setattr(shutil, "rmtree", counted_rmtree)
    monkeypatch.setattr(drank.runtime.files, "remove", counted_tidy)
    return seen
