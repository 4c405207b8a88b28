"""What D-Rank's published code moves from Q and K to V, in whole ranks (github.com/Rainbow0427/D_rank at 0ef4a69).

`reallocate_k_budget` moves ranks, for LLaMA 1 and 2, and `reallocate_llama3` parameters, for grouped-query attention. Halves are
rounded to even, as Python's `round` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.problem import Problem

CAP = 4096
"""The rank above which no group goes, hard-coded there: the width of LLaMA-7B."""

Ranks = dict[str, list[int]]


def by_whole_ranks(problem: Problem, ranks: Floats, beta: float) -> Floats:
    """Whole ranks after each of Q and K lost round(β k), at least 1 staying, and V gained their sum, shared by numbers of layers.

    What rounding leaves of the sum goes to V's groups one by one, what a group cannot take past `CAP` to the smallest ones, and what none
    can take back to Q and K.
    """
    by_kind, layers = _by_kind(problem, ranks)
    taken = {kind: _tax(by_kind[kind], beta) for kind in ("q", "k")}
    revenue = {kind: sum(part) for kind, part in taken.items()}
    kept: Ranks = {kind: [rank - less for rank, less in zip(by_kind[kind], part, strict=True)] for kind, part in taken.items()}
    total = sum(revenue.values())
    given = [rank + more for rank, more in zip(by_kind["v"], _shared(total, layers["v"]), strict=True)]
    over = sum(max(0, rank - CAP) for rank in given)
    given = [min(rank, CAP) for rank in given]
    while over and min(given) < CAP:
        given[given.index(min(given))] += 1
        over -= 1
    refund = total - (sum(given) - sum(by_kind["v"]))
    if refund > 0:
        to_q = round(refund * (revenue["q"] / total)) if total else refund // 2
        for kind, part in (("q", to_q), ("k", refund - to_q)):
            kept[kind] = [min(CAP, rank + more) for rank, more in zip(kept[kind], _shared(part, layers[kind]), strict=True)]
    return _in_place(problem, ranks, {**kept, "v": given})


def by_whole_parameters(problem: Problem, ranks: Floats, beta: float) -> Floats:
    """Whole ranks after each of Q and K lost round(β k), at least 1 staying, and V gained the parameters of these, by numbers of layers.

    What a group of V cannot take past its largest rank goes back to Q and K in proportion to what they gave, and is lost where they are
    at theirs.
    """
    by_kind, layers = _by_kind(problem, ranks)
    shapes = {kind: [shape for shape in problem.shapes if shape.kind == kind] for kind in by_kind}
    costs = {kind: [shape.cost for shape in members] for kind, members in shapes.items()}
    tops = {kind: min(members[0].rows, members[0].columns) for kind, members in shapes.items()}
    taken = {kind: _tax(by_kind[kind], beta) for kind in ("q", "k")}
    revenue = {kind: sum(less * cost for less, cost in zip(part, costs[kind], strict=True)) for kind, part in taken.items()}
    moved: Ranks = {kind: [rank - less for rank, less in zip(by_kind[kind], part, strict=True)] for kind, part in taken.items()}
    total = sum(revenue.values())
    wanted = _bought(by_kind["v"], total, layers["v"], costs["v"])
    moved["v"] = [min(rank, tops["v"]) for rank in wanted]
    over = sum((rank - fits) * cost for rank, fits, cost in zip(wanted, moved["v"], costs["v"], strict=True))
    if over > 0 and total > 0:
        to_q = round(over * (revenue["q"] / total))
        for kind, part in (("q", to_q), ("k", over - to_q)):
            richer = _bought(moved[kind], part, layers[kind], costs[kind])
            moved[kind] = [min(rank, tops[kind]) for rank in richer]
    return _in_place(problem, ranks, moved)


def _by_kind(problem: Problem, ranks: Floats) -> tuple[Ranks, dict[str, list[int]]]:
    """Of Q, K and V the ranks, rounded, and the numbers of layers."""
    pairs = [(shape, round(rank)) for shape, rank in zip(problem.shapes, ranks.tolist(), strict=True)]
    kinds = ("q", "k", "v")
    by_kind = {kind: [rank for shape, rank in pairs if shape.kind == kind] for kind in kinds}
    return by_kind, {kind: [len(shape.layers) for shape, _ in pairs if shape.kind == kind] for kind in kinds}


def _tax(ranks: Sequence[int], beta: float) -> list[int]:
    return [rank - max(1, rank - round(rank * beta)) for rank in ranks]


def _shared(amount: int, layers: Sequence[int]) -> list[int]:
    """An amount by numbers of layers, each part rounded, and what is left one by one from the first on."""
    parts = [round(amount * (count / sum(layers))) for count in layers]
    left = amount - sum(parts)
    return [part + left // len(parts) + (i < left % len(parts)) if left > 0 else part for i, part in enumerate(parts)]


def _bought(ranks: Sequence[int], parameters: float, layers: Sequence[int], costs: Sequence[int]) -> list[int]:
    """Ranks with those added that each group's share of the parameters, by numbers of layers, comes nearest to."""
    shares = [parameters * (count / sum(layers)) for count in layers]
    return [rank + round(share / cost) for rank, share, cost in zip(ranks, shares, costs, strict=True)]


def _in_place(problem: Problem, ranks: Floats, moved: Ranks) -> Floats:
    """All ranks, with those of the kinds that moved in the place of theirs."""
    kinds = np.array([shape.kind for shape in problem.shapes])
    result = np.array(ranks)
    for kind, values in moved.items():
        result[kinds == kind] = values
    return result
