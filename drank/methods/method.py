"""A method: a choice on the axes weighting × grouping × allocator × rebalance × after, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Any

from drank.allocation.allocate import refusal
from drank.allocation.allocators import ALLOCATORS
from drank.spectra.weightings import WEIGHTINGS
from drank.variants import by_axis, variant

RANKING = (
    *("weighting", "alpha", "damping", "labels", "group", "steps"),
    *("allocator", "density", "guard", "scope", "floor", "cap", "mix", "normalise", "beta", "rebalance", "dense_past_break_even"),
    *("storage", "rank_multiple", "seed", "plan"),
)
"""The options that decide the ranks of a plan; all others tell what follows, or what a method is called."""

RATIO = "{ratio}"
"""What stands in `plan` for the ratio, where each has a file of its own."""

COMPENSATING = ("compensated", "anchored")
"""The refits that the dense model tells, which read `compensation`."""


@dataclass(frozen=True)
class Method:
    """One way to compress a model: a row of the table in config/README.md, which explains every option.

    From ratio `refit_from` on the factors are refitted, then come `corrections` passes over the text, and from `finetune_from` on the
    factors are trained by LoRA. One with `compresses` off is the dense model or a `checkpoint` beside it; not `budgeted`: no ratio.
    """

    title: str
    paper: str = ""
    weighting: str = "whitening"
    alpha: float = 0.5
    damping: float = 0.01
    labels: str = "text"
    group: int = 1
    steps: int = 1
    allocator: str = "uniform"
    density: str = "spectral-entropy"
    guard: bool = False
    scope: str = "type"
    floor: float = 0.0
    cap: float | None = None
    mix: float | None = None
    normalise: bool = False
    beta: float = 0.0
    rebalance: str = "ranks"
    dense_past_break_even: bool = False
    storage: str = "factors"
    rank_multiple: int = 1
    refit_from: float | None = None
    refit: str = "in-order"
    compensation: float = 0.5
    corrections: int = 0
    finetune_from: float | None = None
    seed: int = 13
    plan: str | None = None
    calibration: dict[str, Any] | None = field(default=None, hash=False)
    control: bool = False
    compresses: bool = True
    budgeted: bool = True
    checkpoint: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def weighting_options(self) -> dict[str, float]:
        """The options that this method's weighting reads, by name."""
        return {name: getattr(self, name) for name in WEIGHTINGS[self.weighting].options}

    @property
    def spectrum(self) -> str:
        """The name of the spectrum this method reads, such as `whitening-n2` or `absolute-mean-alpha0.5-n1`.

        It names the labels too where gradients are taken for others than the text's, and the calibration of a variant, for what an
        allocator reads beside a spectrum, such as slopes, goes by the same name.
        """
        options = "".join(f"-{name}{value:g}" for name, value in self.weighting_options.items())
        labels = f"-{self.labels}" if self.reads_labels and self.labels != "text" else ""
        read = self.calibrated if self.weighs_inputs or self.reads_gradients or "sensitivity" in self.needs else ""
        return f"{self.weighting}{options}{labels}-n{self.group}{read}"

    @property
    def calibrated(self) -> str:
        """What tells the text of this method from that of the run, such as `+corpus=c4`; empty where it is the same."""
        return variant("", by_axis(self.calibration or {}))

    @property
    def weighs_inputs(self) -> bool:
        """Whether this method's weighting is made of the moments of the inputs."""
        return WEIGHTINGS[self.weighting].moments

    @property
    def weighs_gradients(self) -> bool:
        """Whether this method's weighting is made of gradients."""
        return WEIGHTINGS[self.weighting].gradients

    @property
    def reads_gradients(self) -> bool:
        """Whether this method's weighting or its allocator is told by gradients."""
        return self.weighs_gradients or "slopes" in self.needs

    @property
    def reads_labels(self) -> bool:
        """Whether a backward pass of this method is one for `labels`, and not for what its weighting takes of itself."""
        return "slopes" in self.needs or (self.weighs_gradients and WEIGHTINGS[self.weighting].own_pass is None)

    @property
    def weighing_pass(self) -> str:
        """The backward pass that its weighting is made of, where it is made of gradients."""
        return WEIGHTINGS[self.weighting].backward_pass(self.labels)

    def reads_outputs(self, labels: str) -> bool:
        """Whether this method reads the second moments at the outputs that the backward pass of this name leaves."""
        return self.weighing_pass == labels and WEIGHTINGS[self.weighting].reads_outputs

    @property
    def passes(self) -> tuple[str, ...]:
        """The backward passes that it reads, each once: of its weighting, and for slopes those of its labels."""
        weighing = [self.weighing_pass] if self.weighs_gradients else []
        return tuple(dict.fromkeys([*weighing, *([self.labels] if "slopes" in self.needs else [])]))

    @property
    def relinearises(self) -> bool:
        """Whether moments and gradients are measured again on models compressed in part, on the way to the ratio asked for."""
        return self.steps > 1

    @property
    def reads_calibration(self) -> bool:
        """Whether this method reads the calibration text, as moments, as gradients, to refit or to correct."""
        told = self.weighs_inputs or self.reads_gradients or "similarities" in self.needs
        return self.compresses and (told or self.refit_from is not None or self.corrections > 0)

    @property
    def reads_text(self) -> bool:
        """Whether this method reads a text at all: the calibration's, or one that is the calibration's unless a section says otherwise."""
        return self.compresses and (self.reads_calibration or self.searches or self.finetune_from is not None)

    @property
    def searches(self) -> bool:
        """Whether something is tried out on the text of a search: each projection alone, or the values of an option."""
        return "sensitivity" in self.needs or self.chooses

    @property
    def needs(self) -> frozenset[str]:
        """What the allocator reads beside the spectrum: `slopes`, `similarities`, `sensitivity` or the `plan` that is given."""
        return ALLOCATORS[self.allocator].needs

    @property
    def chooses(self) -> bool:
        """Whether an option is chosen on validation text before ranks are allocated: the mix of importance and loss, unless given."""
        return self.allocator == "importance-loss" and self.mix is None

    def refits(self, ratio: float) -> bool:
        """Whether the factors are refitted at this ratio."""
        return self.refit_from is not None and ratio >= self.refit_from

    def compensates(self, ratio: float) -> bool:
        """Whether that refit is one that the dense model tells too."""
        return self.refits(ratio) and self.refit in COMPENSATING

    def finetunes(self, ratio: float) -> bool:
        """Whether the factors are fine-tuned at this ratio."""
        return self.finetune_from is not None and ratio >= self.finetune_from

    def at(self, ratio: float) -> Method:
        """This method as it works at a ratio: what sets in at a higher one is off, and what only that would read stands at its default.

        The plan of a file for each ratio is that of this one.
        """
        off: dict[str, Any] = {"plan": self.plan and self.plan.replace(RATIO, f"{ratio:g}")}
        off |= {} if self.finetunes(ratio) else {"finetune_from": None}
        if not self.refits(ratio):
            off |= {"refit_from": None, "refit": Method.refit, "compensation": Method.compensation}
        return replace(self, **off)

    def settings(self, ratio: float | None = None) -> dict[str, Any]:
        """Every field by name, for `Method(**settings)`; with a ratio as `at` says, so that plans and records tell what was done.

        Of a given plan they tell what its file is called, not where it lies: a run that moves is the same. What is in it, `allocate` adds.
        """
        method = self if ratio is None else self.at(ratio)
        return asdict(method) | {"plan": method.plan and PurePath(method.plan).name}

    def ranking(self) -> dict[str, Any]:
        """The options that decide ranks, by name: a step that makes a choice on the way to them hangs on no others."""
        return {key: value for key, value in asdict(self).items() if key in RANKING}

    def refusal(self, kinds: Collection[str], layers: int) -> str | None:
        """Why this method cannot apply to a model with these kinds of projection and so many layers; None where it can."""
        if not self.compresses:
            return None
        if self.group > layers:
            return f"groups of {self.group} layers do not fit a model of {layers}"
        return refusal(self.ranking(), set(kinds))
