"""The table of methods: each is a choice on the axes weighting × grouping × allocator × rebalance × after.

A configuration names methods of this table, gives them options, or composes its own under a new name from a `base` entry.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from drank.allocators import ALLOCATORS
from drank.weightings import WEIGHTINGS


@dataclass(frozen=True)
class Method:
    """One way to compress a model.

    `group` layers share a basis, `beta` is the share of Q and K ranks moved to V, and from ratio `refit_from` on the coefficients are
    refitted to the compressed model's own inputs. A method with `compresses` off is the dense model; one with `budgeted` off has no ratio.
    """

    title: str
    paper: str = ""
    weighting: str = "whitening"
    group: int = 1
    allocator: str = "uniform"
    beta: float = 0.0
    refit_from: float | None = None
    dense_past_break_even: bool = False
    seed: int = 13
    control: bool = False
    compresses: bool = True
    budgeted: bool = True

    @property
    def spectrum(self) -> str:
        """The name of the spectrum this method reads, such as `whitening-n2`."""
        return f"{self.weighting}-n{self.group}"

    def refits(self, ratio: float) -> bool:
        """Whether the coefficients are refitted at this ratio."""
        return self.refit_from is not None and ratio >= self.refit_from

    def settings(self) -> dict[str, Any]:
        """The options that decide a plan, as they are written into it."""
        keys = ("weighting", "group", "allocator", "beta", "dense_past_break_even", "seed")
        return {key: value for key, value in asdict(self).items() if key in keys}


METHODS: dict[str, Method] = {
    "dense": Method("Dense", weighting="identity", compresses=False, budgeted=False),
    "full-rank": Method("Full rank", allocator="full", control=True, budgeted=False),
    "random-ranks": Method("Random ranks", allocator="random", control=True),
    "svd": Method("SVD", weighting="identity"),
    "svd-llm": Method("SVD-LLM", "arXiv:2403.07378"),
    "basis-sharing": Method("Basis Sharing", "arXiv:2410.03765", group=2, refit_from=0.4),
    "d-rank": Method("D-Rank", "arXiv:2509.25622", group=2, allocator="effective-rank", beta=0.3, refit_from=0.4),
}
"""The published methods and the controls, with the options of their papers."""


def near(name: str, known: Mapping[str, Any]) -> str:
    """A hint such as ` (did you mean svd-llm?)`, empty where nothing is near."""
    close = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def method_of(label: str, options: Mapping[str, Any]) -> Method:
    """The method that a configuration's entry describes; raises ValueError naming every unknown name in it."""
    base = options.get("base", label)
    if base not in METHODS:
        raise ValueError(f"method {base!r} is unknown{near(base, METHODS)}; known: {', '.join(METHODS)}")
    entry = METHODS[base]
    changes = {key: value for key, value in options.items() if key != "base"}
    problems = []
    if label in METHODS and base != label:
        problems.append(f"the name is taken by a method of the table; give {base} with other options a name of its own")
    if label != base and (entry.control or not entry.compresses):
        problems.append(f"{base} goes by its own name alone, so that tables and reports know it")
    if changes and not entry.compresses:
        problems.append(f"the dense model has no options, and these are set: {', '.join(changes)}")
    if entry.budgeted and changes.get("allocator") == "full":
        problems.append("allocator full meets no budget; use the method full-rank")
    for axis, known in (("weighting", WEIGHTINGS), ("allocator", ALLOCATORS)):
        value = changes.get(axis)
        if value is not None and value not in known:
            problems.append(f"{axis} {value!r} is unknown{near(value, known)}; known: {', '.join(known)}")
    if problems:
        raise ValueError(f"method {label}: {'; '.join(problems)}")
    return replace(entry, **({} if label in METHODS else {"title": label}) | changes)
