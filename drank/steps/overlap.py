"""Find how much of a text on which models are measured stands word for word in one that making them reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.corpora.beginnings import convention_in
from drank.corpora.overlap import LIMIT, RUN, SeenTextError, found_in
from drank.corpora.windows import Tokens, read_tokens
from drank.runtime.files import write_json

log = logging.getLogger(__name__)


def run(output: str | Path, *, measured: str, read: str, perplexity: Mapping[str, Any], seen: bool) -> None:
    """Write as JSON how many `runs` of `tokens` tokens the measured windows have, and how many of these are `found` in the other text.

    Raises SeenTextError where these are more than `LIMIT` and that is not said to be meant (`seen`).
    """
    text, other = read_tokens(measured), read_tokens(read)
    ids = text.measured(perplexity["length"], perplexity["windows"], convention_in(perplexity))
    found, runs = found_in(ids.numpy(), other.ids[other.opening :].numpy())
    share = found / runs if runs else 0.0
    said = f"{100 * share:.1f} % of the runs of {RUN} tokens of {_name(text)} that are measured stand word for word in {_name(other)}"
    log.info(said)
    if share > LIMIT and not seen:
        raise SeenTextError(
            f"{said}, which making models reads, where what they keep looks better than it is; measure or calibrate on another text, or "
            "say that this is meant: `perplexity: {seen: true}`"
        )
    write_json(output, {"text": _name(text), "read": _name(other), "tokens": RUN, "runs": runs, "found": found, "share": share})


def _name(text: Tokens) -> str:
    return f"{text.corpus}.{text.split}"
