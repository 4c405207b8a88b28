"""Log-likelihoods of answers after prompts. Where that saves work, a prompt is read once for several answers.

The harness reads prompt and answer together, hence a prompt as often as it has answers of several tokens, and makes logits of all tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.models.families import FAMILIES
from drank.models.forward import wide

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]
"""The ids of a prompt and those of an answer, one or more of each."""

BY_LENGTH = frozenset({"dynamic", "longrope"})
"""Rotary positions that hang on how much is read: those of a prompt are others once an answer stands behind it."""


def log_likelihoods(
    model: PreTrainedModel, pairs: Sequence[Pair], batch: int = 32, read: Callable[[int], None] = lambda _count: None
) -> list[tuple[float, bool]]:
    """Of each pair the log-likelihood of its answer after its prompt, in nats, and whether each of its tokens is the likeliest.

    At most `batch` answers are read at once, of prompts with several answers those whose prompts are of one length (`shares`), of others
    those of about one length in all; the longest first. A pair given twice is scored once; a prompt and an answer without its last token
    have to fit the model's context. Logarithms are of float32 at least. `read` is told how many answers were read.
    """
    import torch

    answers: dict[Ids, list[Ids]] = {}
    for prompt, answer in dict.fromkeys(pairs):
        answers.setdefault(prompt, []).append(answer)
    shared = {prompt: own for prompt, own in answers.items() if len(own) > 1} if shares(model) else {}
    alone = [[(prompt, answer)] for prompt, own in answers.items() if prompt not in shared for answer in own]
    several = [
        [(prompt, one) for one in own[start : start + batch]] for prompt, own in shared.items() for start in range(0, len(own), batch)
    ]
    found: dict[Pair, tuple[float, bool]] = {}
    ways = ((_together, _batches(alone, batch, _whole, by_length(model))), (_after_prompts, _batches(several, batch, _prompt, True)))
    with torch.inference_mode():
        for logits_of, batches in ways:
            for chosen in batches:
                scores = [_score(logits, answer) for logits, (_, answer) in zip(logits_of(model, chosen), chosen, strict=True)]
                for pair, (score, likeliest) in zip(chosen, torch.stack(scores).tolist(), strict=True):  # a device is waited for once
                    found[pair] = (score, bool(likeliest))
                read(len(chosen))
    return [found[pair] for pair in pairs]


def shares(model: PreTrainedModel) -> bool:
    """Whether answers are read after what a model remembers of their prompt: where that is keys and values alone, and on a CPU.

    A GPU has its hands full with prompts of any lengths at once, which this does not allow.
    """
    known = model.config.model_type in FAMILIES and type(model).__module__.startswith("transformers.")
    return known and model.device.type == "cpu" and not by_length(model)


def by_length(model: PreTrainedModel) -> bool:
    """Whether what a model makes of a token hangs on how much is read at once (`BY_LENGTH`), so that only equal lengths are."""
    return not BY_LENGTH.isdisjoint(_rope_types(getattr(model.config, "rope_parameters", None)))


def _rope_types(parameters: Any) -> Iterator[Any]:
    """The kinds of rotary positions in a part of a configuration, which may have one for each kind of layer."""
    if isinstance(parameters, Mapping):
        yield parameters.get("rope_type")
        for part in parameters.values():
            yield from _rope_types(part)


def _whole(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])


def _prompt(pair: Pair) -> int:
    return len(pair[0])


def _batches(units: Iterable[list[Pair]], batch: int, length: Callable[[Pair], int], alike: bool) -> Iterator[list[Pair]]:
    """Units of pairs that are read at once, whole, the longest first; where they are to be `alike`, with those of their length alone."""
    waiting: list[Pair] = []
    for unit in sorted(units, key=lambda unit: length(unit[0]), reverse=True):
        fits = len(waiting) + len(unit) <= batch and not (alike and waiting and length(waiting[0]) != length(unit[0]))
        if waiting and not fits:
            yield waiting
            waiting = []
        waiting = [*waiting, *unit]
    if waiting:
        yield waiting


def _together(model: PreTrainedModel, pairs: Sequence[Pair]) -> Iterator[Tensor]:
    """The logits of each answer's tokens (tokens, vocabulary), prompt and answer read as one; what fills up a row stands behind it."""
    rows = [(*prompt, *answer[:-1]) for prompt, answer in pairs]
    ids = _padded(model, rows)
    most = ids.shape[1] - min(len(prompt) for prompt, _ in pairs) + 1
    logits = model(input_ids=ids, use_cache=False, **_keeping(model, most)).logits
    before = ids.shape[1] - logits.shape[1]
    for row, (prompt, answer) in zip(logits, pairs, strict=True):
        first = len(prompt) - 1 - before
        yield row[first : first + len(answer)]


def _after_prompts(model: PreTrainedModel, pairs: Sequence[Pair]) -> Iterator[Tensor]:
    """The same of prompts of one length, each read once, and answers read after what the model remembers of it."""
    import torch

    prompts = list(dict.fromkeys(prompt for prompt, _ in pairs))
    rows = torch.tensor([prompts.index(prompt) for prompt, _ in pairs])
    state = model(input_ids=_padded(model, prompts), use_cache=True, **_keeping(model, 1))
    logits = state.logits[:, -1:][rows]
    if any(len(answer) > 1 for _, answer in pairs):
        state.past_key_values.batch_select_indices(rows)
        ids = _padded(model, [answer[:-1] for _, answer in pairs])
        logits = torch.cat([logits, model(input_ids=ids, past_key_values=state.past_key_values, use_cache=True).logits], dim=1)
    for row, (_, answer) in zip(logits, pairs, strict=True):
        yield row[: len(answer)]


def _score(logits: Tensor, answer: Ids) -> Tensor:
    """The log-likelihood of an answer from the logits of its tokens, and 1 where each of them is the likeliest, else 0; (2,), float64."""
    import torch

    ids = torch.tensor(answer, device=logits.device)
    own = wide(logits).log_softmax(-1).gather(-1, ids[:, None]).double().sum()
    return torch.stack([own, logits.argmax(-1).eq(ids).all().double()])


def _padded(model: PreTrainedModel, rows: Sequence[Ids]) -> Tensor:
    import torch

    longest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=model.device)


def _keeping(model: PreTrainedModel, most: int) -> dict[str, int]:
    """What asks a model for its last logits alone, where it can be asked."""
    return {"logits_to_keep": most} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
