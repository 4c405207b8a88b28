"""The files of a tokenizer: which of them are read, and what keeps them from being read, told before transformers sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.runtime.stand_ins import pointer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WHOLE, PIECES, SETTINGS = "tokenizer.json", "tokenizer.model", "tokenizer_config.json"
OTHERS = (("vocab.json", "merges.txt"), ("tekken.json",), ("vocab.txt",), ("spiece.model",), ("sentencepiece.bpe.model",))
"""What else is a tokenizer, all files of a line together."""

TEMPLATES = "additional_chat_templates/*.jinja"
"""The chat templates of a tokenizer that has several, all but the one that is taken unless another is named."""

BELOW = "*/*[!a]"
"""What is not fetched of a model on the hub: files in folders, but templates, which alone of what is asked for end in an a."""

BESIDE = (SETTINGS, "special_tokens_map.json", "added_tokens.json")
NEEDED = ("sentencepiece", "google.protobuf")

REMEDY = "put the tokenizer.json and tokenizer_config.json of its model there (`AutoTokenizer.from_pretrained(…).save_pretrained(…)`)"
_PROBE = "Some  words, 1234 and\n\na naïve 漢字."


def tokenizer_problems(directory: Path) -> Iterator[str]:
    """What is wrong with the tokenizer in a model directory, as far as its files tell to who does not build it."""
    chosen = next((names for names in ((WHOLE,), (PIECES,), *OTHERS) if all((directory / name).is_file() for name in names)), None)
    if chosen is None:
        yield f"{directory} holds no tokenizer; {REMEDY}"
        return
    broken = [problem for name in (*chosen, *BESIDE) if (problem := _broken(directory / name))]
    yield from broken
    if chosen == (PIECES,) and not broken:
        yield from _unreadable_pieces(directory)


def _broken(path: Path) -> str | None:
    """Why one file cannot be what its name says; None where it can, or is not there."""
    try:
        if not path.exists():
            return None
        if told := pointer(path):
            return f"{path} {told}"
        read = json.loads(path.read_text("utf-8")) if path.suffix == ".json" else {"model": {}}
    except (OSError, ValueError, RecursionError) as error:
        return f"{path} cannot be read ({error}): it is damaged or cut off; fetch it again"
    if not isinstance(read, dict) or (path.name == WHOLE and not isinstance(read.get("model"), dict)):
        return f"{path} is JSON and no {'tokenizer' if path.name == WHOLE else 'mapping'}; fetch it again"
    if path.name == WHOLE and (dropout := read["model"].get("dropout")):
        return f"{path} drops merges at random (`dropout` of its model is {dropout}), so a text is other tokens each time; set it to null"
    return f"{path} is empty; fetch it again" if not path.stat().st_size else None


def _unreadable_pieces(directory: Path) -> Iterator[str]:
    """Why a tokenizer.model that stands alone cannot be read."""
    path, settings = directory / PIECES, directory / SETTINGS
    with path.open("rb") as file:
        first = file.read(1)
    if first != b"\n":  # the first field of SentencePiece's message
        yield f"{path} is no SentencePiece model (one for tiktoken, maybe), and there is no tokenizer.json; {REMEDY}"
        return
    if missing := [name for name in NEEDED if not _is_installed(name)]:
        yield f"{path} is read by {', '.join(missing)}, which is not installed; `pip install sentencepiece protobuf`, or {REMEDY}"
    if not settings.is_file() or not json.loads(settings.read_text("utf-8")).get("tokenizer_class"):
        yield f"{path} has no tokenizer_config.json beside it that names its `tokenizer_class`, such as LlamaTokenizer; add it, or {REMEDY}"


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def other_ids(directory: Path, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """In what a tokenizer made of a tokenizer.model alone differs from what SentencePiece itself makes of it; None where it does not."""
    if (directory / WHOLE).is_file() or not (directory / PIECES).is_file():
        return None
    import sentencepiece

    pieces: Any = sentencepiece.SentencePieceProcessor(model_file=str(directory / PIECES))
    expected, found = pieces.encode(_PROBE), tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    if expected == found:
        return None
    told = f"{_PROBE!r} begins as {found[:9]} of {len(found)} tokens and should as {expected[:9]} of {len(expected)}"
    return (
        f"{directory / PIECES} is not what transformers makes of it as a {type(tokenizer).__name__}: {told}; "
        f"correct `tokenizer_class` in tokenizer_config.json, or {REMEDY}"
    )
