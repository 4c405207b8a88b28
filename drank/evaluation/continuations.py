"""Greedy continuations: what a model writes after the first tokens of windows, each token the likeliest after its own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from drank.models.families import FAMILIES
from drank.runtime.finite import NonFiniteError
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TOGETHER = 8
"""Prompts that are read at once; a share takes whole batches of them, so that each is read in the company that it always has."""


@dataclass(frozen=True)
class Continuations:
    """The token ids of each prompt, and of what the model writes after it: up to the token that ends a text, without that."""

    prompts: list[list[int]]
    written: list[list[int]]

    @classmethod
    def joined(cls, parts: Iterable[Continuations]) -> Continuations:
        """Those of all parts, one part after the other."""
        parts = list(parts)
        return cls(list(chain(*(part.prompts for part in parts))), list(chain(*(part.written for part in parts))))


def prompts_of(windows: Sequence[Tensor], options: Mapping[str, int]) -> list[Tensor]:
    """The first tokens of windows spread evenly over all that are as long as the first, as a section `continuations` has them.

    They are `prompts` windows, or as many as there are, and of each `prompt` tokens, half the window at most.
    """
    length = len(windows[0])
    whole = [window for window in windows if len(window) == length]
    count = min(options["prompts"], len(whole))
    return [whole[number * len(whole) // count][: min(options["prompt"], length // 2)] for number in range(count)]


def continuations_of(
    model: PreTrainedModel, windows: Sequence[Tensor], options: Mapping[str, int], what: str, share: Share = WHOLE
) -> Continuations:
    """What the model writes after the `prompts_of` windows, or a share of them: always the likeliest token, `tokens` of them at most.

    They are no more than the window has left, so that prompt and continuation fit wherever it does. Raises NonFiniteError where a logit is
    no number.
    """
    import torch

    prompts = prompts_of(windows, options)
    own = prompts[share.batches(len(prompts), TOGETHER)]
    written: list[list[int]] = []
    with torch.inference_mode():
        for start in range(0, len(own), TOGETHER):
            ids = torch.stack(list(own[start : start + TOGETHER])).to(model.device)
            written += _greedy(model, ids, min(options["tokens"], len(windows[0]) - ids.shape[1]), what)
    return Continuations([prompt.tolist() for prompt in own], written)


def _greedy(model: PreTrainedModel, ids: Tensor, tokens: int, what: str) -> list[list[int]]:
    """The likeliest tokens after prompts of one length, (prompts, tokens), one after the other, up to those that end a text."""
    import torch

    ends = torch.tensor(_ends(model), device=ids.device, dtype=ids.dtype)
    remembers, known = model.config.model_type in FAMILIES, dict[str, Any]()
    read, written = ids, ids[:, :0]
    while written.shape[1] < tokens and not torch.isin(written, ends).any(1).all():
        state = model(input_ids=read, use_cache=remembers, **known)
        known = {"past_key_values": state.past_key_values} if remembers else {}
        last = state.logits[:, -1]
        if last.isnan().any():
            overflow = f"the model's logits overflow in {model.dtype}; evaluate in float32 (`compute: dtype: float32`)"
            raise NonFiniteError(f"continuations of {what}, after {written.shape[1]} tokens: {overflow}")
        following = last.argmax(-1, keepdim=True)
        written = torch.cat([written, following], dim=1)
        read = following if remembers else torch.cat([ids, written], dim=1)
    over = set(ends.tolist())
    return [row[: next((place for place, token in enumerate(row) if token in over), len(row))] for row in written.tolist()]


def _ends(model: PreTrainedModel) -> list[int]:
    """The tokens that end a text, by what the model's folder says of generation or else of the model; none where neither does."""
    told = getattr(model.generation_config, "eos_token_id", None)
    told = getattr(model.config.get_text_config(), "eos_token_id", None) if told is None else told
    return [] if told is None else [told] if isinstance(told, int) else list(told)
