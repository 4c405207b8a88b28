"""The table of methods: each is a choice on the axes weighting × grouping × allocator × rebalance × after.

A configuration names methods of this table, gives them options, or composes its own under a new name from a `base` entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from drank.methods.method import COMPENSATING, RANKING, Method

__all__ = ["COMPENSATING", "METHODS", "RANKING", "Method", "outputs_read"]

METHODS: dict[str, Method] = {
    "dense": Method("Dense", weighting="identity", compresses=False, budgeted=False),
    "rounded-8": Method("Rounded to 8 bits", weighting="identity", compresses=False, budgeted=False, checkpoint={"bits": 8, "block": 32}),
    "rounded-4": Method("Rounded to 4 bits", weighting="identity", compresses=False, budgeted=False, checkpoint={"bits": 4, "block": 32}),
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
    "aa-svd": Method("AA-SVD", "arXiv:2604.02119", refit_from=0.0, refit="anchored", compensation=1.0),  # without its training of blocks
    "gfwsvd": Method("GFWSVD", "arXiv:2505.17974", weighting="fitted-fisher"),
    "zs-svd": Method("ZS-SVD", "arXiv:2602.02848", allocator="zero-sum", scope="model"),
    "io-svd": Method("IO-SVD", "arXiv:2605.15626", weighting="likeliest-fisher", allocator="greedy", scope="model"),
    "optimal": Method("Optimal energy", allocator="optimal"),
    "d-rank": Method("D-Rank", "arXiv:2509.25622", group=2, allocator="effective-rank", beta=0.3, refit_from=0.4),
    "d-rank-released": Method(
        *("D-Rank, released", "github.com/Rainbow0427/D_rank"),
        group=2,
        allocator="released",
        beta=0.2,
        rebalance="whole-ranks",
    ),
    "d-rank-released-gqa": Method(
        *("D-Rank, released, grouped queries", "github.com/Rainbow0427/D_rank"),
        allocator="released-gqa",
        beta=0.1,
        rebalance="whole-parameters",
    ),
    "l-rank": Method(
        *("L-Rank", "docs/l-rank.md"),
        weighting="kronecker-fisher",
        damping=0.1,
        labels="sampled",
        allocator="optimal",
        scope="model",
        dense_past_break_even=True,
        storage="pivoted",
        refit_from=0.0,
        refit="compensated",
        corrections=4,
    ),
    "l-rank-scalar": Method(
        *("L-Rank, scalar", "docs/l-rank.md"),
        weighting="scalar-fisher",
        labels="sampled",
        allocator="optimal",
        scope="model",
        dense_past_break_even=True,
        storage="pivoted",
    ),
}
"""The published methods with the options of their papers, our own, the controls, and the dense model, whole and rounded."""


def outputs_read(methods: Iterable[Method], labels: str, calibrated: str = "") -> bool:
    """Whether one of these methods reads the second moments at the outputs that a pass of this name over this text leaves."""
    return any(method.reads_outputs(labels) for method in methods if method.calibrated == calibrated)
