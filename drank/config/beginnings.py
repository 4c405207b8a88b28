"""What `bos: auto` means for a model, and what is wrong with a `bos` that its tokenizer cannot give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.corpora.beginnings import AUTO, TEXT, WINDOW
from drank.models.families import needs_bos
from drank.models.shapes import is_shape
from drank.models.sources import SourceError, directory_of
from drank.runtime.files import read_json

FOLLOWING = ("search", "finetune")
"""Sections that take the calibration's where they say nothing."""

SECTIONS = ("calibration", *FOLLOWING, "perplexity", "zeroshot", "throughput")


def with_beginnings(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The configuration as one model reads it: `bos` of every section as one of `corpora.beginnings.CONVENTIONS`.

    It stays `auto` for a model that is not on this machine yet, of which nobody can tell; whoever would read by that refuses it.
    """
    own = _of_family(config["models"][model])
    found = dict(config)
    for name in SECTIONS:
        asked = config.get(name, {}).get("bos")
        follows = name in FOLLOWING and "calibration" in config and asked is None
        if name in config and not follows:
            found[name] = {**config[name], "bos": own if asked in (AUTO, None) else asked}
    return found


def _of_family(source: Mapping[str, Any]) -> str:
    """What the family of a configured model needs; `auto` for one that is not here, `text` for one that is not sound, as `check` tells.

    A shape reads no text, only numbers of tokens, so that no token begins it.
    """
    if is_shape(source):
        return TEXT
    try:
        return WINDOW if needs_bos(read_json(directory_of(source) / "config.json")) else TEXT
    except SourceError:
        return AUTO
    except (OSError, ValueError):
        return TEXT


def beginning_problems(config: Mapping[str, Any], model: str) -> Iterator[str]:
    """A line for every section of which the windows shall begin with a token that the tokenizer of a model does not have."""
    told = with_beginnings(config, model)
    begun = [name for name in SECTIONS if told.get(name, {}).get("bos") == WINDOW and _is_read(name, config)]
    if begun and (lacking := _lacking(config["models"][model])):
        for name in begun:
            by_family = " (as the family of this model needs)" if config[name].get("bos") in (AUTO, None) else ""
            yield (
                f"{name}.bos is {WINDOW}{by_family}, and {lacking}; name it in tokenizer_config.json (`bos_token`), give the model the "
                f"tokenizer that it was trained with, or set `{name}: {{bos: {TEXT}}}` (`bos={TEXT!r}` in a call, `--bos {TEXT}`)"
            )


def _is_read(section: str, config: Mapping[str, Any]) -> bool:
    """Whether something is measured by a section, or a text of its own is named there; that of the calibration is."""
    names = {"perplexity": "corpora", "zeroshot": "tasks", **dict.fromkeys(FOLLOWING, "corpus")}
    return section not in names or bool(config[section].get(names[section]) or config[section].get("bos") == WINDOW)


def _lacking(source: Mapping[str, Any]) -> str:
    """Why no token can stand before the windows of a model; empty where one can, or where other checks tell what is wrong."""
    from drank.corpora.encoding import beginning_of, opening_of
    from drank.models.checkpoint import load_tokenizer

    with suppress(SourceError, OSError, ValueError):
        directory = directory_of(source)
        tokenizer, told = load_tokenizer(directory), read_json(directory / "config.json")
        rows, bos = (told.get("text_config") or told).get("vocab_size"), beginning_of(tokenizer)
        if bos is None:
            several = opening_of(tokenizer)
            return f"its tokenizer puts {len(several)} tokens before a text" if several else "its tokenizer has no token that begins a text"
        if rows is not None and bos >= rows:
            return f"the token that begins a text has the number {bos}, and the model's embedding {rows} rows"
    return ""
