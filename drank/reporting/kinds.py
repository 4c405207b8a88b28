"""Kinds of methods: what was done after the ranks, and in what the factors are stored, so that like is compared with like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from drank.methods import Method
from drank.reporting.recipes import method_in

AFTER = {"refit_from": "refitted", "corrections": "corrected", "finetune_from": "fine-tuned by LoRA"}
"""The fields of a method that say what is done to the factors, in the order in which it is done, each as it is printed."""

UNTOUCHED = "training-free"
"""What a method is whose factors stay as they are cut."""

STORED = {"factors": "two factors"}
"""The storages that are printed other than they are written."""


class Kind(NamedTuple):
    """What was done after the ranks, and what is stored; as text `refitted and corrected, pivoted or dense`."""

    after: str
    storage: str

    def __str__(self) -> str:
        return f"{self.after}, {self.storage}"


def kind_of(settings: Mapping[str, Any]) -> Kind | None:
    """The kind of a method at a ratio, from the settings that a record or a plan holds; None for one that does not compress."""
    method = method_in(settings)
    if not method.compresses:
        return None
    done = [word for field, word in AFTER.items() if getattr(method, field) != getattr(Method, field)]
    storage = STORED.get(method.storage, method.storage) + (" or dense" if method.dense_past_break_even else "")
    return Kind(f"{', '.join(done[:-1])} and {done[-1]}" if len(done) > 1 else "".join(done) or UNTOUCHED, storage)


def methods_of(kind: str) -> str:
    """The methods of a kind, by its text, as a sentence calls them: `training-free methods with two factors`."""
    after, _, storage = kind.rpartition(", ")
    return f"{after} methods {f'with {storage}' if storage.startswith('two') else f'in {storage} storage'}"
