"""Whether an exported graph answers as the model does: a prompt of two rows, one of them padded, and the token after it, by the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drank.models.families import context_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOLERANCE = 1e-3
"""How far logits may be apart, as a share of the largest: float32 is a hundred times closer, another function a hundred times farther."""

PROMPT, LONGEST = 12, 64
"""Tokens of the prompt; more, up to so many, where a sliding window is then shorter than the prompt."""

Array = np.ndarray[Any, Any]


class ExportError(RuntimeError):
    """An export that is not made, for what came out would not be the model."""


class Session:
    """An exported model in ONNX Runtime, on the CPU."""

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        """Read the graph and its weights."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings are of initializers that it drops
        if threads:
            options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.cached = self.session.get_inputs()[3:]

    def empty(self, rows: int) -> list[Array]:
        """The keys and values of no tokens."""
        return [np.zeros((rows, one.shape[1], 0, one.shape[3]), np.float32) for one in self.cached]

    def step(self, ids: Array, mask: Array, past: list[Array]) -> tuple[Array, list[Array]]:
        """Logits of the new tokens (rows, new), and keys and values of all; `mask` is of all tokens, 0 for padding, which comes first."""
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        logits, *cache = self.session.run(None, inputs | {one.name: value for one, value in zip(self.cached, past, strict=True)})
        return logits, cache


def questions_for(model: PreTrainedModel) -> tuple[Array, Array]:
    """Token ids and mask of two sequences, the first three places of the second padding; the same for one model each time."""
    config, limit = model.config, context_of(model.config) or LONGEST
    window = getattr(config, "sliding_window", None) or 0
    length = min(window + 4 if PROMPT <= window + 4 <= LONGEST else PROMPT, limit)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (2, length), dtype=np.int64)
    mask = np.ones_like(ids)
    mask[1, : length // 4] = 0
    return ids, mask


def answers_of(model: PreTrainedModel, ids: Array, mask: Array) -> Array:
    """Logits (tokens, vocabulary) of a model at the places that are no padding, by a prompt and a step with the model's own cache."""
    import torch

    positions = torch.from_numpy(np.maximum(mask.cumsum(1) - 1, 0))
    cache, found = None, []
    for part in (slice(0, -1), slice(-1, None)):
        end = ids.shape[1] + (part.stop or 0)
        with torch.inference_mode():
            done = model(
                input_ids=torch.from_numpy(ids[:, part]),
                attention_mask=torch.from_numpy(mask[:, :end]),
                position_ids=positions[:, part],
                past_key_values=cache,
                use_cache=True,
            )
        cache = done.past_key_values
        found.append(done.logits.float().numpy()[mask[:, part] > 0])
    return np.concatenate(found)


def farthest(path: Path, ids: Array, mask: Array, expected: Array) -> float:
    """The largest difference between the logits of an exported model and those expected, as a share of the largest of these.

    Raises ExportError where ONNX Runtime cannot run it, and where its logits are farther off than rounding has them, or its next tokens
    others.
    """
    try:
        session = Session(path)
        first, cache = session.step(ids[:, :-1], mask[:, :-1], session.empty(len(ids)))
        second, _ = session.step(ids[:, -1:], mask, cache)
    except Exception as error:  # its errors are classes of its C++ part without a common parent but Exception
        raise ExportError(
            f"ONNX Runtime does not run what torch's exporter made ({' '.join(str(error).split())[:300]}), so nothing was written; other "
            "versions of torch and onnxruntime may do better, and `--to dense` needs neither"
        ) from error
    found = np.concatenate([first[mask[:, :-1] > 0], second[mask[:, -1:] > 0]])
    largest = float(np.abs(expected).max())
    off = float(np.abs(found - expected).max()) / largest
    best, chosen = expected.max(-1), np.take_along_axis(expected, found.argmax(-1)[:, None], -1)[:, 0]
    others = int((best - chosen > 2 * TOLERANCE * largest).sum())
    if not off <= TOLERANCE or others:  # nan is not
        raise ExportError(
            f"the exported model is not the one that was read: its logits are up to {off:.2g} of the largest off ({TOLERANCE:g} is "
            f"allowed), and {others} of {len(found)} next tokens are others, so nothing was written; other versions of torch and "
            "onnxruntime may do better, and `--to dense` needs neither"
        )
    return off
