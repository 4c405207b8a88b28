"""The settings of a plan that decide its ranks, and which of them cannot apply to a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Options:
    """What allocation reads of a method's settings, with the defaults.

    `storage` says what a rank costs (`drank.models.storage`), and ranks are multiples of `rank_multiple`.

    With `guard` an allocator that is not sure to truncate less than uniform ranks is followed only where it does.

    `floor` and `cap` are multiples of each group's uniform rank, `scope` says who shares a budget (each kind of projection, or the whole
    model), `beta` is the share of Q and K that moves to V, and `mix` the share of layer importance against loss (Swift-SVD's α).
    """

    allocator: str = "uniform"
    density: str = "spectral-entropy"
    guard: bool = False
    scope: str = "type"
    floor: float = 0.0
    cap: float | None = None
    beta: float = 0.0
    rebalance: str = "ranks"
    mix: float | None = None
    normalise: bool = False
    dense_past_break_even: bool = False
    storage: str = "factors"
    rank_multiple: int = 1
    seed: int = 13

    @classmethod
    def of(cls, settings: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> Options:
        """The options among settings that may hold other keys; ValueError naming all that are out of range or not among the known names."""
        options = cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})
        problems = [
            f"{key} {value!r} is unknown; known: {', '.join(names)}"
            for key, names in known.items()
            if (value := getattr(options, key)) not in names
        ]
        limits = {
            "floor": (options.floor, options.floor >= 0, "a multiple of the uniform rank, 0 or more"),
            "cap": (options.cap, options.cap is None or options.cap > 0, "a multiple of the uniform rank above 0, or null"),
            "beta": (options.beta, 0 <= options.beta < 1, "a share of the ranks of Q and K, at least 0 and below 1"),
            "rank_multiple": (options.rank_multiple, options.rank_multiple >= 1, "a whole number above 0"),
            "mix": (options.mix, options.mix is None or 0 <= options.mix <= 1, "a share between 0 and 1, or null"),
        }
        problems += [f"{key} {value} is not {what}" for key, (value, fits, what) in limits.items() if not fits]
        if options.cap is not None and options.cap < options.floor:
            problems.append(f"cap {options.cap:g} is below floor {options.floor:g}")
        if problems:
            raise ValueError("; ".join(problems))
        return options
