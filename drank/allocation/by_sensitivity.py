"""Ranks from the perplexities of a sensitivity search. ASVD (arXiv:2312.05821), section 3.3."""

from __future__ import annotations

import bisect
import math

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.options import Options
from drank.allocation.problem import Problem


def sensitivity(problem: Problem, options: Options) -> Floats:
    """Real ranks by the lowest threshold of perplexity whose kept ratios meet the budget; published over the whole model.

    Our reading: at a threshold a group keeps the smallest ratio at which it alone, truncated, leaves the perplexity at or below the
    threshold, and all of itself (its break-even rank, or dense storage) where there is none. A ratio stands for the rank at which two
    factors keep it, which is where it was measured, and costs what that rank costs as it is stored. All perplexities that were measured are
    thresholds, in order; what a threshold saves too much the rounding hands out in proportion.
    """
    tables = [problem.evidence.sensitivity[shape.name] for shape in problem.shapes]
    ratios = [np.array([float(kept) for kept in table]) for table in tables]
    perplexities = [np.array(list(table.values())) for table in tables]
    thresholds = [-math.inf, *np.unique(np.concatenate(perplexities))]

    def stored(threshold: float) -> Floats:
        found = []
        for shape, shares, values in zip(problem.shapes, ratios, perplexities, strict=True):
            fitting = shares[values <= threshold]
            rank = fitting.min(initial=1.0) * shape.dense_parameters / shape.cost
            found.append(shape.form.numbers(shape.rows, shape.width, rank) if len(fitting) else shape.dense_parameters)
        return np.array(found, dtype=np.float64)

    met = bisect.bisect_left(thresholds, True, hi=len(thresholds) - 1, key=lambda t: bool(stored(t).sum() <= problem.budget))
    return stored(thresholds[met]) / problem.costs
