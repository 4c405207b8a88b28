"""The layouts of artefacts: what each prints, what it needs to be measured and what it reads. A new one is one function and one line here.

Functions are named rather than imported, so that a configuration is checked without the packages that draw.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

KINDS = ("perplexity", "zeroshot", "throughput")
"""What can be measured."""

TO_DENSE = ("kl_to_dense", "top1_agreement")
"""Metrics that compare what a model predicts with what the dense one does (`perplexity: to_dense`)."""

BESIDE_DENSE = ("flips", "answers_changed")
"""Metrics of a run beside the run of the dense model, which an artefact of them has to have."""

OVER_DENSE = "speedup_over_dense"
"""The metric of a run beside the dense model as it was timed in the same rounds, whether an artefact has it or not."""

METRICS = {
    "perplexity": "perplexity",
    **dict.fromkeys((*TO_DENSE, "calibration_error", "repeated_4grams"), "perplexity"),
    **dict.fromkeys(("accuracy", *BESIDE_DENSE), "zeroshot"),
    **dict.fromkeys(("tokens_per_second", OVER_DENSE, "time_to_first_token", "time_per_token", "roofline_share"), "throughput"),
}
"""Numbers that a table can be asked for, each with what has to be measured for it."""


@dataclass(frozen=True)
class Layout:
    """One way to print numbers.

    `function` stands as `module:name`. `each`: a table for every model; a figure is drawn of all and of each. `measures` is what it shows
    of what was measured: nothing for one that shows a single `metric`, and for one that reads `spectra` or `plans` alone. `reads` names
    these, and `timings` of steps. `compressed`: it shows nothing of runs that compress nothing. `options` are the keys of an entry that it
    knows beside `runs`, `on` and `caption`; `needs` those that it cannot do without, and `stands_on` axes that
    its runs must have. `along`: its option `axis` has to be one of numbers.
    """

    kind: Literal["table", "figure"]
    function: str
    measures: tuple[str, ...] = ()
    each: bool = False
    compressed: bool = False
    reads: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    stands_on: tuple[str, ...] = ()
    along: bool = False

    def files(self, name: str, models: Sequence[str]) -> list[str]:
        """The files of an artefact of this layout that is about these models."""
        each = [f"{name}-{model}" for model in models]
        if self.kind == "figure":  # of all models over two columns, and of each over one
            return [f"results/figures/{one}{form}" for one in [name, *each] for form in (".pdf", ".png")]
        parts = each if self.each and len(models) > 1 else [name]
        return [f"results/tables/{name}.tex", *(f"results/tables/{one}{form}" for one in parts for form in (".csv", ".tabular.tex"))]

    def load(self) -> Callable[..., Any]:
        """Its function."""
        module, _, name = self.function.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found


TABLES, FIGURES = "drank.reporting.tables", "drank.reporting.figures"

LAYOUTS: dict[str, Layout] = {
    "quality": Layout("table", f"{TABLES}.quantities:quality", ("perplexity", "zeroshot"), each=True),
    "paired": Layout("table", f"{TABLES}.quantities:paired", ("perplexity", "zeroshot"), each=True, compressed=True),
    "answers": Layout("table", f"{TABLES}.quantities:answers", ("zeroshot",), each=True, compressed=True),
    "throughput": Layout("table", f"{TABLES}.throughput:throughput", ("throughput",), each=True),
    "pivot": Layout("table", f"{TABLES}.pivot:pivot", options=("rows", "columns", "metric", "over"), needs=("rows", "columns")),
    "effective_rank": Layout("table", f"{TABLES}.effective_ranks:effective_rank", reads=("spectra",), options=("kinds",)),
    "steps": Layout("table", f"{TABLES}.steps:steps", ("perplexity",), options=("chain",), needs=("chain",)),
    "choice": Layout("table", f"{TABLES}.choice:choice", ("perplexity",), options=("validation", "axis"), needs=("validation",)),
    "cost": Layout("table", f"{TABLES}.cost:cost", ("perplexity",), reads=("timings",)),
    "loss_by_position": Layout("table", f"{TABLES}.positions:loss_by_position", ("perplexity",)),
    "stability": Layout("table", f"{TABLES}.stability:stability", ("perplexity",), reads=("plans", "spectra"), options=("reference",)),
    "effective_rank_by_layer": Layout("figure", f"{FIGURES}.effective_rank:draw", reads=("spectra",), options=("kinds",)),
    "ranks_by_layer": Layout("figure", f"{FIGURES}.ranks:draw", reads=("plans",)),
    "perplexity_by_ratio": Layout("figure", f"{FIGURES}.against_ratio:perplexity", ("perplexity",), compressed=True),
    "accuracy_by_ratio": Layout("figure", f"{FIGURES}.against_ratio:accuracy", ("zeroshot",), compressed=True),
    "throughput_by_ratio": Layout("figure", f"{FIGURES}.against_ratio:throughput", ("throughput",), compressed=True),
    "speedup_by_bytes": Layout("figure", f"{FIGURES}.by_bytes:draw", ("throughput",), compressed=True),
    "perplexity_by_axis": Layout(
        "figure", f"{FIGURES}.along:draw", ("perplexity",), compressed=True, options=("axis",), needs=("axis",), along=True
    ),
    "draws": Layout("figure", f"{FIGURES}.draws:draw", ("perplexity",), compressed=True, stands_on=("draw",)),
    "fine_tuning": Layout(
        "figure", f"{FIGURES}.after:draw", ("perplexity",), reads=("plans",), compressed=True, stands_on=("finetune_from",)
    ),
    "frontier": Layout("figure", f"{FIGURES}.frontier:draw", ("perplexity", "throughput")),
    "stability_by_layer": Layout("figure", f"{FIGURES}.stability:draw", ("perplexity",), reads=("plans", "spectra")),
}
"""The layouts by name."""
