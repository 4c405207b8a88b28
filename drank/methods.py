"""The table of methods: each is a choice on the axes weighting × grouping × allocator × rebalance × after.

A configuration names methods of this table, gives them options, or composes its own under a new name from a `base` entry.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from drank.allocation import ALLOCATORS, refusal
from drank.allocation import CHOICES as ALLOCATION_CHOICES
from drank.calibration.losses import LABELS
from drank.spectra.weightings import WEIGHTINGS

SETTINGS = (
    *("weighting", "alpha", "damping", "labels", "group", "steps"),
    *("allocator", "density", "scope", "floor", "cap", "mix", "normalise", "beta", "rebalance", "dense_past_break_even", "seed"),
)
"""The options that decide a plan, and are written into it."""


@dataclass(frozen=True)
class Method:
    """One way to compress a model: a row of the table in config/README.md, which explains every option.

    From ratio `refit_from` on the factors are refitted, then come `corrections` natural-gradient steps, and from `finetune_from` on the
    factors are trained by LoRA. A method with `compresses` off is the dense model; one with `budgeted` off has no ratio.
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
    scope: str = "type"
    floor: float = 0.0
    cap: float | None = None
    mix: float | None = None
    normalise: bool = False
    beta: float = 0.0
    rebalance: str = "ranks"
    dense_past_break_even: bool = False
    refit_from: float | None = None
    refit: str = "in-order"
    compensation: float = 0.5
    corrections: int = 0
    finetune_from: float | None = None
    seed: int = 13
    control: bool = False
    compresses: bool = True
    budgeted: bool = True

    @property
    def weighting_options(self) -> dict[str, float]:
        """The options that this method's weighting reads, by name."""
        return {name: getattr(self, name) for name in WEIGHTINGS[self.weighting].options}

    @property
    def spectrum(self) -> str:
        """The name of the spectrum this method reads, such as `whitening-n2` or `absolute-mean-alpha0.5-n1`.

        It names the labels too where gradients are taken for others than the text's, for what an allocator reads beside a spectrum, such
        as slopes, goes by the same name.
        """
        options = "".join(f"-{name}{value:g}" for name, value in self.weighting_options.items())
        labels = f"-{self.labels}" if self.reads_gradients and self.labels != "text" else ""
        return f"{self.weighting}{options}{labels}-n{self.group}"

    @property
    def weighs_gradients(self) -> bool:
        """Whether this method's weighting is made of gradients."""
        return WEIGHTINGS[self.weighting].gradients

    @property
    def reads_gradients(self) -> bool:
        """Whether this method's weighting or its allocator is told by gradients."""
        return self.weighs_gradients or "slopes" in self.needs

    @property
    def relinearises(self) -> bool:
        """Whether moments and gradients are measured again on models compressed in part, on the way to the ratio asked for."""
        return self.steps > 1

    @property
    def needs(self) -> frozenset[str]:
        """What the allocator reads beside the spectrum: `slopes`, `similarities` or `sensitivity`."""
        return ALLOCATORS[self.allocator].needs

    @property
    def chooses(self) -> bool:
        """Whether an option is chosen on validation text before ranks are allocated: the mix of importance and loss, unless given."""
        return self.allocator == "importance-loss" and self.mix is None

    def refits(self, ratio: float) -> bool:
        """Whether the factors are refitted at this ratio."""
        return self.refit_from is not None and ratio >= self.refit_from

    def compensates(self, ratio: float) -> bool:
        """Whether that refit is the compensated one, which is told by the dense model too."""
        return self.refits(ratio) and self.refit == "compensated"

    def finetunes(self, ratio: float) -> bool:
        """Whether the factors are fine-tuned at this ratio."""
        return self.finetune_from is not None and ratio >= self.finetune_from

    def settings(self) -> dict[str, Any]:
        """The options that decide a plan, as they are written into it."""
        return {key: value for key, value in asdict(self).items() if key in SETTINGS}

    def refusal(self, kinds: Collection[str], layers: int) -> str | None:
        """Why this method cannot apply to a model with these kinds of projection and so many layers; None where it can."""
        if not self.compresses:
            return None
        if self.group > layers:
            return f"groups of {self.group} layers do not fit a model of {layers}"
        return refusal(self.settings(), set(kinds))


METHODS: dict[str, Method] = {
    "dense": Method("Dense", weighting="identity", compresses=False, budgeted=False),
    "full-rank": Method("Full rank", allocator="full", control=True, budgeted=False),
    "random-ranks": Method("Random ranks", allocator="random", control=True),
    "svd": Method("SVD", weighting="identity"),
    "fwsvd": Method("FWSVD", "arXiv:2207.00112", weighting="fisher-rows"),
    "asvd": Method("ASVD", "arXiv:2312.05821", weighting="absolute-mean"),
    "asvd-search": Method(
        *("ASVD, searched", "arXiv:2312.05821"),
        weighting="absolute-mean",
        allocator="sensitivity",
        scope="model",
        dense_past_break_even=True,  # what its search keeps whole is stored as it is
    ),
    "svd-llm": Method("SVD-LLM", "arXiv:2403.07378"),
    "svd-llm-v2": Method("SVD-LLM V2", "arXiv:2503.12340", allocator="loss-ratio"),
    "basis-sharing": Method("Basis Sharing", "arXiv:2410.03765", group=2, refit_from=0.4, refit="at-once"),
    "swift-svd": Method("Swift-SVD", "arXiv:2604.01609", allocator="importance-loss", floor=0.5),
    "gfwsvd": Method("GFWSVD", "arXiv:2505.17974", weighting="kronecker-fisher"),
    "zs-svd": Method("ZS-SVD", "arXiv:2602.02848", allocator="zero-sum", scope="model"),
    "io-svd": Method("IO-SVD", "github.com/mint-vu/IO-SVD", weighting="kronecker-fisher", allocator="greedy", scope="model"),
    "optimal": Method("Optimal energy", allocator="optimal"),
    "d-rank": Method("D-Rank", "arXiv:2509.25622", group=2, allocator="effective-rank", beta=0.3, refit_from=0.4),
    "d-rank-released": Method("D-Rank, released", "github.com/Rainbow0427/D_rank", group=2, allocator="released", beta=0.2),
    "l-rank": Method(
        *("L-Rank", "docs/l-rank.md"),
        weighting="kronecker-fisher",
        damping=0.1,
        labels="sampled",
        allocator="optimal",
        scope="model",
        dense_past_break_even=True,
        refit_from=0.0,
        refit="compensated",
        corrections=3,
    ),
    "l-rank-scalar": Method(
        *("L-Rank, scalar", "docs/l-rank.md"),
        weighting="scalar-fisher",
        labels="sampled",
        allocator="optimal",
        scope="model",
        dense_past_break_even=True,
    ),
}
"""The published methods with the options of their papers, our own, and the controls."""

CHOICES: dict[str, Collection[str]] = {
    "weighting": WEIGHTINGS,
    "labels": LABELS,
    **ALLOCATION_CHOICES,
    "refit": ("in-order", "at-once", "compensated"),
}
"""What the options that name something may name."""


READERS: dict[str, Callable[[Method], bool]] = {
    "alpha": lambda method: "alpha" in WEIGHTINGS[method.weighting].options,
    "damping": lambda method: "damping" in WEIGHTINGS[method.weighting].options,
    "labels": lambda method: method.reads_gradients,
    "density": lambda method: method.allocator == "effective-rank",
    "mix": lambda method: method.allocator == "importance-loss",
    "normalise": lambda method: method.allocator == "optimal",
    "seed": lambda method: method.allocator == "random",
    "rebalance": lambda method: method.beta > 0,
    "refit": lambda method: method.refit_from is not None,
    "compensation": lambda method: method.refit_from is not None and method.refit == "compensated",
}
"""Who reads an option that is not for every method."""

EVERY_KIND = ("q", "k", "v", "o", "gate", "up", "down")
"""The kinds of projection of a model to which any sensible settings apply."""


def near(name: str, known: Collection[str]) -> str:
    """A hint such as ` (did you mean svd-llm?)`, empty where nothing is near."""
    close = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def method_of(label: str, options: Mapping[str, Any]) -> Method:
    """The method that a configuration's entry describes.

    Raises ValueError naming every unknown name in it, options that nothing would read, and settings that can apply to no model.
    """
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
    for axis, known in CHOICES.items():
        value = changes.get(axis)
        if value is not None and value not in known:
            problems.append(f"{axis} {value!r} is unknown{near(value, known)}; known: {', '.join(known)}")
    problems += [
        f"{name} {changes[name]!r} has more than six digits, and spectra are named by six"
        for name in ("alpha", "damping")
        if name in changes and float(f"{changes[name]:g}") != changes[name]
    ]
    if problems:
        raise ValueError(f"method {label}: {'; '.join(problems)}")
    method = replace(entry, **({} if label in METHODS else {"title": label}) | changes)
    unread = [name for name in changes if name in READERS and not READERS[name](method) and changes[name] != getattr(entry, name)]
    if unread:
        raise ValueError(
            f"method {label}: {', '.join(unread)} would change nothing: allocator {method.allocator}, weighting {method.weighting}, beta "
            f"{method.beta:g}, refit_from {method.refit_from} and refit {method.refit} do not read it; leave it out, or choose what does"
        )
    if "slopes" in method.needs and method.labels != "text":
        raise ValueError(
            f"method {label}: allocator {method.allocator} ranks components by the mean gradient, which for {method.labels} labels is "
            "noise about zero; set labels: text"
        )
    if method.relinearises and (reason := _standstill(method)):
        raise ValueError(f"method {label}: {reason}")
    if method.compresses and (reason := refusal(method.settings(), EVERY_KIND)):
        raise ValueError(f"method {label}: {reason}")
    return method


def _standstill(method: Method) -> str | None:
    """Why steps would be of no use to this method, None where they are."""
    told = f"steps {method.steps} measures moments and gradients again on the model compressed in part"
    if not method.budgeted:
        return f"{told}, and this method meets no budget that could be neared in steps; set steps: 1"
    if not method.weighs_gradients:
        known = ", ".join(name for name, weighting in WEIGHTINGS.items() if weighting.gradients)
        return f"{told}, and weighting {method.weighting} reads no gradients; set steps: 1, or a weighting that does: {known}"
    if method.needs:
        read = ", ".join(sorted(method.needs))
        return f"{told}, and allocator {method.allocator} reads {read} too, which is of the dense model; set steps: 1, or another allocator"
    return None
