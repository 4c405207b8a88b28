"""Ranks by what every group loses at its uniform rank: SVD-LLM V2's loss ratio and Swift-SVD's importance × loss."""

from __future__ import annotations

import numpy as np

from drank.allocation.evidence import Evidence, Floats
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rules import bounds, spread


def loss_ratio(problem: Problem, options: Options) -> Floats:
    """Real ranks whose removed shares are in proportion to 1 / ln L, L the loss of the group at its uniform rank.

    SVD-LLM V2 (arXiv:2503.12340): `r_m = M · R · (1/ln L_m) / Σ 1/ln L`, R the ratio and M the number of matrices of one kind. Texts
    differ on the argument of the logarithm; we read L as the Frobenius norm, and take ln(e + L), which is ln L for the losses of real
    models (L ≫ e) and stays defined and positive for small ones. Where sizes differ (a last group of fewer layers, a budget over the
    model) shares are of parameters, so that the budget still comes out. No share is past what the bounds of a rank allow: groups that
    would be are held there, and the others make up for it in the same proportion.
    """
    dense = problem.sizes / problem.costs
    return spread(problem, dense, dense / np.log(np.e + problem.losses))


def importances(evidence: Evidence) -> Floats:
    """Swift-SVD's importance of every layer, in [1, 2]: 1 + min-max of 1 − similarity of a block's input and output; 1 if all agree."""
    change = 1 - np.asarray(evidence.similarities, dtype=np.float64)
    span = change.max() - change.min()
    return 1 + (change - change.min()) / span if span > 0 else np.ones_like(change)


def importance_loss(problem: Problem, options: Options) -> Floats:
    """Real ranks that share the budget above the floors in proportion to `s = importance^α · ln(e + loss)^(1−α)`, α the option `mix`.

    Swift-SVD (arXiv:2604.01609), whose floor is half the uniform rank. The loss is the Frobenius norm of what is truncated at the uniform
    rank, the importance of a group of layers their mean. The parameters above the floor are in proportion to s times the group's size,
    which for equal sizes is the published rule. Raises ValueError where `mix` is not set.
    """
    if options.mix is None:
        raise ValueError(
            "allocator importance-loss: mix is not set; choose it on validation text (drank.allocation.selection) or give a number, 0 to 1"
        )
    layers = importances(problem.evidence)
    importance = np.array([layers[list(shape.layers)].mean() for shape in problem.shapes])
    score = importance**options.mix * np.log(np.e + problem.losses) ** (1 - options.mix)
    return spread(problem, bounds(problem)[0], score * problem.sizes / problem.costs)
