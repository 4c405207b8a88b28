"""Reading prompts and writing on, one greedy token at a time: what is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def prompts(model: PreTrainedModel, batch: int, prompt: int, seed: int, first: int | None = None) -> Tensor:
    """Random token ids (batch, prompt) of a model's vocabulary; each row begins with `first`, where one is given."""
    import torch

    ids = torch.randint(model.config.get_text_config().vocab_size, (batch, prompt), generator=torch.Generator().manual_seed(seed))
    if first is not None:
        ids[:, 0] = first
    return ids


def fixed_cache(model: PreTrainedModel, tokens: int) -> Any:
    """An empty cache for so many tokens where the model's generation asks for one of fixed size, as one whose decoding is compiled does.

    None where it does not. Its `reset` empties it again in the memory that it has, where a CUDA graph finds it.
    """
    from transformers import StaticCache

    fixed = getattr(model.generation_config, "cache_implementation", None) == "static"
    return StaticCache(model.config, max_cache_len=tokens) if fixed else None


def prefill(model: PreTrainedModel, ids: Tensor, generate: int, cache: Any = None) -> Any:
    """What the model says after reading the prompts: logits of the last position and the cache, which `generate` tokens more will fill.

    It is an empty `cache` that is given, else a new one, of fixed size where the model asks for that (`fixed_cache`).
    """
    cache = fixed_cache(model, ids.shape[1] + generate) if cache is None else cache
    return model(input_ids=ids, use_cache=True, logits_to_keep=1, **({} if cache is None else {"past_key_values": cache}))


def decode(model: PreTrainedModel, state: Any, generate: int, done: Callable[[], None] = lambda: None) -> Any:
    """What the model says after so many greedy steps from a state on; `done` is called after each."""
    for _ in range(generate):
        token = state.logits[:, -1:].argmax(-1)  # (batch, 1)
        state = model(input_ids=token, past_key_values=state.past_key_values, use_cache=True)
        done()
    return state
