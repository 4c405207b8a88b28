"""What cannot be asked of a shape, whose weights are drawn at random: all but how fast and how large it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drank.config.method_entries import method_of
from drank.config.resolved import entries_for
from drank.corpora.beginnings import WINDOW
from drank.methods import Method
from drank.models.shapes import is_shape

DRAWN = "it is a shape, whose weights are drawn at random"

PLAIN = ("weighting", "allocator", "steps", "refit_from", "corrections", "finetune_from", "calibration")
"""The options that have to be those of `svd`, whose ranks follow from the shape alone and whose factors nothing is done to."""

ALSO = {"allocator": "given"}
"""What they may be as well: ranks may be given."""

REMEDY = (
    "take `svd`, or `{base: svd}` with storage, rank_multiple, group or a given plan, and give models with weights a configuration of "
    "their own"
)


def shape_problems(config: Mapping[str, Any], model: str) -> Iterator[str]:
    """A line for everything that a configuration asks of one of its models which is a shape, and which nothing random can answer."""
    if not is_shape(config["models"][model]):
        return
    for section, names in (("perplexity.corpora", config["perplexity"]["corpora"]), ("zeroshot.tasks", config["zeroshot"]["tasks"])):
        if names:
            told = f"{section} asks what it predicts ({', '.join(names)}), and {DRAWN}"
            yield f"{told}; leave {section} out, and give models with weights a configuration of their own"
    if config.get("throughput", {}).get("bos") == WINDOW:
        yield f"throughput.bos is {WINDOW}, and a shape has no tokenizer to tell which token that is; leave it out"
    for label, options in entries_for(config, model).items():
        try:
            method = method_of(label, options)
        except (ValueError, TypeError):
            continue  # which other checks tell
        if reason := refusal(method):
            yield f"method {label}: {reason}"


def refusal(method: Method) -> str | None:
    """Why a method cannot be made of a shape; None where it can."""
    if method.checkpoint:
        return f"a checkpoint stands beside weights, and of this model there are none: {DRAWN}; leave the method out, or {REMEDY}"
    if not method.compresses:
        return None
    usual = method_of("svd", {})
    if changed := [name for name in PLAIN if getattr(method, name) not in (getattr(usual, name), ALSO.get(name, getattr(usual, name)))]:
        told = ", ".join(f"{name} {_short(getattr(method, name))}" for name in changed)
        return f"{told} would read weights or text, and {DRAWN}; {REMEDY}"
    return None


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
