"""What is printed below each figure."""

from __future__ import annotations

from collections.abc import Sequence

from drank.reporting.figures.style import MANY
from drank.reporting.names import method_name

MANY_METHODS = (
    f"Where more than {MANY} methods are compared, they stand one below the other instead, with a mark for each ratio: the best on top, by "
    "the mean over the panels at the highest ratio that all of them have, and controls below the line."
)

MANY_PLANS = (
    f"Where more than {MANY} methods give uneven ranks, each has a map instead, layers across and projections down: the parameters kept "
    "over those of the uniform share of the same ratio, red for more and blue for less, the darkest for all beyond four times or a "
    "quarter. There the experts of a layer are taken together, and grey says that a layer has no such projection."
)

CAPTIONS = {
    "effective_rank": "Effective rank of each projection by layer: the exponential of the entropy of its weighted squared singular values. "
    "A group of layers that shares a basis is drawn at its middle.",
    "ranks": "Ranks given to each projection by layer, at the highest ratio alone where many plans were made; a step spans the layers of "
    "one group. Dotted: the uniform rank of the same ratio, "
    "in its colour. Dash-dotted: break-even, above which the factors hold more parameters than the matrices they replace. " + MANY_PLANS,
    "perplexity": "Perplexity against the share of parameters removed from the compressed projections, with 95\u202f% bootstrap intervals "
    "over windows. Methods are set apart sideways so that their bars can be told apart. The dashed line is the uncompressed model. Numbers "
    "with an arrow above a panel are values beyond its upper edge, in the colour of their method. " + MANY_METHODS,
    "accuracy": "Average zero-shot accuracy against the share of parameters removed from the compressed projections, with 95\u202f% "
    "intervals. The dashed line is the uncompressed model, the dotted line what guessing earns. " + MANY_METHODS,
    "throughput": "Throughput of prefill and decode over that of the uncompressed model (dashed line) against the share of parameters "
    "removed from the compressed projections. Bars span the quartiles over the repeats. " + MANY_METHODS,
}
"""The captions by the name of the figure."""

AGAINST_RATIO = ("perplexity", "accuracy", "throughput")
"""The figures that measurements of every method stand in, by its ratio."""


def caption_of(name: str, theirs: Sequence[str]) -> str:
    """The caption of a figure in a run that measured these checkpoints beside the dense model, which are in no figure."""
    left_out = f" Left out, as at no ratio of the run: {', '.join(map(method_name, theirs))}."
    return CAPTIONS[name] + (left_out if theirs and name in AGAINST_RATIO else "")
