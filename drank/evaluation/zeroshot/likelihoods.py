"""Log-likelihoods of answers after prompts, a prompt read once for all of its answers.

The harness reads prompt and answer together, hence a prompt as often as it has answers, and makes logits of all of its tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from drank.models.forward import wide

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]
"""The ids of a prompt and those of an answer, one or more of each."""


def log_likelihoods(
    model: PreTrainedModel, pairs: Sequence[Pair], batch: int = 32, read: Callable[[int], None] = lambda _count: None
) -> list[tuple[float, bool]]:
    """Of each pair the log-likelihood of its answer after its prompt, in nats, and whether each of its tokens is the likeliest.

    Prompts of one length are read together, with at most `batch` answers in all, so that none is padded. A pair given twice is scored
    once; a prompt and an answer without its last token have to fit the model's context. `read` is told how many answers were read.
    """
    found: dict[Pair, tuple[float, bool]] = {}
    for together in _batches(dict.fromkeys(pairs), batch):
        asked = [(prompt, answer) for prompt, answers in together for answer in answers]
        found |= dict(zip(asked, _scores(model, together), strict=True))
        read(len(asked))
    return [found[pair] for pair in pairs]


def _batches(pairs: Iterable[Pair], batch: int) -> Iterator[list[tuple[Ids, list[Ids]]]]:
    """Prompts with answers to be read together, the longest first, so that what does not fit the memory fails at once."""
    answers: dict[Ids, list[Ids]] = {}
    for prompt, answer in pairs:
        answers.setdefault(prompt, []).append(answer)
    waiting: list[tuple[Ids, list[Ids]]] = []
    for prompt in sorted(answers, key=len, reverse=True):
        for start in range(0, len(answers[prompt]), batch):
            some = answers[prompt][start : start + batch]
            fits = sum(len(own) for _, own in waiting) + len(some) <= batch
            if waiting and not (fits and len(waiting[0][0]) == len(prompt)):
                yield waiting
                waiting = []
            waiting.append((prompt, some))
    if waiting:
        yield waiting


def _scores(model: PreTrainedModel, together: Sequence[tuple[Ids, Sequence[Ids]]]) -> list[tuple[float, bool]]:
    """The scores of all answers of a batch in order, out of one pass over its prompts and one over its answers after them."""
    import torch

    answers = [(row, answer) for row, (_, own) in enumerate(together) for answer in own]
    longest = max(len(answer) for _, answer in answers)
    rows = torch.tensor([row for row, _ in answers], device=model.device)
    ids = torch.tensor([[*answer, *[0] * (longest - len(answer))] for _, answer in answers], device=model.device)
    lengths = torch.tensor([[len(answer)] for _, answer in answers], device=model.device)
    with torch.inference_mode():
        prompts = torch.tensor([prompt for prompt, _ in together], device=model.device)
        logits = _logits(model, prompts, rows, ids[:, :-1])
        own = wide(logits).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        beyond = torch.arange(longest, device=model.device) >= lengths
        found = own.double().masked_fill(beyond, 0).sum(1)
        likeliest = (logits.argmax(-1).eq(ids) | beyond).all(1)
        return list(zip(found.tolist(), likeliest.tolist(), strict=True))


def _logits(model: PreTrainedModel, prompts: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
    """Logits (answers, 1 + tokens, vocabulary) at the end of each answer's prompt, whose row `rows` tells, and at `ids` after it.

    A model that remembers otherwise than by keys and values, or gives them in a form of its own, reads prompt and answer together.
    """
    import torch

    last = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    before = model(input_ids=prompts, use_cache=True, **last)
    logits: Tensor = before.logits[:, -1:][rows]
    if not ids.shape[1]:
        return logits
    cache: Any = getattr(before, "past_key_values", None)
    if not _of_keys_and_values(cache):
        after: Tensor = model(input_ids=torch.cat([prompts[rows], ids], dim=1), use_cache=False).logits
        return after[:, prompts.shape[1] - 1 :]
    cache.batch_select_indices(rows)
    return torch.cat([logits, model(input_ids=ids, past_key_values=cache, use_cache=True).logits], dim=1)


def _of_keys_and_values(cache: Any) -> bool:
    """Whether all that a cache holds are keys and values, which one prompt can share with several answers."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    return type(cache) is DynamicCache and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
