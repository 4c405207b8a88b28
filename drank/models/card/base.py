"""What a card says of the base model, its licence, the settings of the method and the texts that it read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drank.models.card.markdown import table
from drank.models.licence import UNKNOWN

NOT_SETTINGS = ("title", "paper", "control", "compresses", "budgeted")
"""The fields of a method that say what it is called and how it is listed, not what it does."""

_TEXT = ("corpus", "split", "windows", "length", "seed", "text_sha256")


def base_name(making: Mapping[str, Any] | None) -> str:
    """What the dense model is called: its hub id, the name of its folder, or that of the configuration."""
    if making is None:
        return "a dense model"
    source = (making.get("base") or {}).get("source", {})
    return str(next((source[key] for key in ("hub", "embedded", "path", "gguf", "package") if source.get(key)), making["model"]))


def hub_id(making: Mapping[str, Any] | None) -> str | None:
    """The id of the base model on the hub; None where it is a folder or one that drank ships."""
    return ((making or {}).get("base") or {}).get("source", {}).get("hub")


def licence(making: Mapping[str, Any] | None) -> str:
    """The licence of the base model, `unknown` where its folder did not say."""
    return str(((making or {}).get("base") or {}).get("licence") or UNKNOWN)


def licence_entries(making: Mapping[str, Any] | None) -> dict[str, str]:
    """`license` of the front matter, and `license_name` where the hub has no identifier for it."""
    identifier, _, name = licence(making).partition(": ")
    return {"license": identifier, "license_name": name} if name else {"license": identifier}


def licence_section(making: Mapping[str, Any] | None) -> str:
    """What holds for the weights."""
    found = licence(making)
    told = "says nothing of its licence; ask those who made it" if found == UNKNOWN else f"has the licence `{found}`"
    return f"The base model, {base_name(making)}, {told}. The weights here are made of its own, so its terms hold for them too."


def base_section(making: Mapping[str, Any] | None) -> str:
    """Where the base model is from and what its files hash to."""
    described = (making or {}).get("base") or {}
    source = described.get("source", {})
    if hub := source.get("hub"):
        where = f"[{hub}](https://huggingface.co/{hub}), revision `{source.get('revision', 'main')}`."
    elif name := source.get("embedded"):
        where = f"`{name}`, which drank ships."
    elif name := source.get("path"):
        where = f"`{name}`, a local folder; its files tell which model it is."
    elif name := source.get("gguf"):
        where = f"`{name}`, a local GGUF file, dequantised; the files made of it tell which model it is."
    elif name := source.get("package"):
        file = f" `{source['file']}`" if "file" in source else ""
        where = (
            f"The GGUF file{file} in the package `{name}` {source.get('version', '')}, dequantised; the files made of it tell which model."
        )
    else:
        return "Nothing was noted down of the base model."
    rows = [[f"`{name}`", f"`{sha256}`"] for name, sha256 in described.get("files", {}).items()]
    return f"{where}\n\n{table(['file of the base model', 'SHA-256'], rows)}" if rows else where


def setting(value: object) -> str:
    """The value of a setting as it is read: `yes`, `0.4`, `seed 14` for what has keys of its own, `–` for None."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {setting(part)}" for key, part in value.items())
    words = {None: "–", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def texts(making: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What was read, by what it was read for: the calibration, what chose among plans, and what followed the ranks."""
    return list(_flat({"calibration": making.get("calibration") or {}, **(making.get("texts") or {})}))


def texts_section(making: Mapping[str, Any] | None) -> str:
    """The calibration texts as a table, with the hash of each."""
    rows = []
    for purpose, text in texts(making) if making else ():
        size = f"{text['windows']} × {text['length']} tokens" if {"windows", "length"} <= text.keys() else "–"
        other = ", ".join(f"{key} {value}" for key, value in text.items() if key not in _TEXT and not key.endswith("sha256"))
        digest = f"`{text['text_sha256']}`" if "text_sha256" in text else "–"
        corpus = f"{text.get('corpus', '–')}" + (f", {text['split']}" if "split" in text else "")
        rows.append([purpose, corpus, size, text.get("seed", "–"), other or "–", digest])
    if not rows:
        return "No text was read."
    return table(["read for", "text", "windows:", "seed:", "settings", "SHA-256 of the text"], rows)


def _flat(texts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Texts by purpose; one that stands inside another, as that of a search does, comes after it."""
    for purpose, text in texts.items():
        own = {key: value for key, value in text.items() if not isinstance(value, Mapping)}
        if own:
            yield purpose, own
        yield from _flat({key: value for key, value in text.items() if isinstance(value, Mapping)})
