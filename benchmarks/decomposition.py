"""Time the decomposition of one LLaMA-shaped block against the arithmetic of the published code: `python -m benchmarks.decomposition`.

Seven projections, `--size` (default 4096) wide and 2.6875 times that in the middle, one layer a group, random weights and moments with
features of very different scale. Ours: from given G and W to λ, the basis at full rank and the factors at ratio 20 %. Published
(github.com/Rainbow0427/D_rank): Cholesky factor of G and its explicit inverse, float32 singular values of S W, then the float64 SVD of
S W and the factors by the inverse. The release factors and inverts twice, for the ranks and for the factors; here it counts once.

The two take turns projection by projection, so that whatever else the machine does disturbs both. Prints seconds (and seconds of CPU),
‖S (W − B C)‖ / ‖S W‖ at 20 and 40 %, and the ratio of the sums. At full size this takes a quarter of an hour on two free cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from drank.spectra.decomposition import Left, decompose

SHARES = (0.8, 0.6)
"""Shares of the parameters that are kept, at ratios of 20 and 40 %."""

Factors = tuple[Tensor, Tensor]


def published(matrix: Tensor, gram: Tensor) -> Factors:
    """Basis and coefficients at full rank, float32, as the release computes them."""
    root = torch.linalg.cholesky(gram).mT
    inverse = torch.linalg.inv(root)
    torch.linalg.svdvals(root.float() @ matrix.float())
    left, sigma, right = torch.linalg.svd(root @ matrix, full_matrices=False)
    return (inverse @ (left * sigma)).float(), right.float()


def ours(matrix: Tensor, left: Left, rank: int) -> Factors:
    """Basis at `rank` and coefficients at full rank, float32, as drank computes them."""
    found = decompose(matrix, left)
    coefficients = found.coefficients.float()
    return (matrix @ coefficients[:rank].double().mT).float(), coefficients


def moments(width: int, generator: torch.Generator) -> Tensor:
    """G of correlated features whose scales spread over two orders of magnitude, four of them a hundred times larger still."""
    scales = torch.logspace(-1, 1, width, dtype=torch.float64)[torch.randperm(width, generator=generator)]
    scales[:4] *= 100
    common = torch.randn(width, width // 8, dtype=torch.float64, generator=generator) * scales[:, None]
    gram = common @ common.mT
    gram.diagonal().add_(0.1 * width * scales**2)
    return gram


def weights(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """W with a quarter of its directions stronger than the rest."""
    rank = min(rows, columns) // 4
    strong = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator) / rank**0.5
    return (strong + 0.5 * torch.randn(rows, columns, generator=generator)).double()


def timed(work: Callable[[], Factors]) -> tuple[Factors, float, float]:
    """What some work gives, its seconds, and its seconds of CPU."""
    started, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - started, time.process_time() - busy


def kept(rows: int, columns: int) -> list[int]:
    """The uniform ranks at the two ratios."""
    return [int(share * rows * columns / (rows + columns)) for share in SHARES]


def errors(matrix: Tensor, gram: Tensor, factors: Factors) -> list[float]:
    """‖S (W − B C)‖ / ‖S W‖ at the two ratios, float64."""
    basis, coefficients = (part.double() for part in factors)
    rests = [matrix - basis[:, :rank] @ coefficients[:rank] for rank in kept(*matrix.shape)]
    norms = [torch.sum(rest * (gram @ rest)).sqrt().item() for rest in (*rests, matrix)]
    return [norm / norms[-1] for norm in norms[:-1]]


def report(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Take the two in turn through the projections and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=4096, help="width of the block (default 4096)")
    parser.add_argument("--threads", type=int, default=2, help="threads to compute with (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    width, middle, generator = options.size, options.size * 43 // 16, torch.Generator().manual_seed(0)
    inputs = [(("q", "k", "v"), width, width), (("o",), width, width), (("gate", "up"), width, middle), (("down",), middle, width)]
    totals = [0.0] * 4
    report(f"{'':5} {'published':>18} {'drank':>18} {'ratio':>6}   error at 20 %, published and drank; at 40 %")
    for roles, rows, columns in inputs:
        gram = moments(rows, generator)
        left = Left(gram)
        for role in roles:
            matrix = weights(rows, columns, generator)
            theirs, *their_seconds = timed(partial(published, matrix, gram))
            found, *our_seconds = timed(partial(ours, matrix, left, kept(*matrix.shape)[0]))
            totals = [total + seconds for total, seconds in zip(totals, (*their_seconds, *our_seconds), strict=True)]
            pairs = zip(errors(matrix, gram, theirs), errors(matrix, gram, found), strict=True)
            columns_shown = "; ".join(f"{a:.7f} {b:.7f}" for a, b in pairs)
            clocks = [f"{seconds[0]:7.1f} s ({seconds[1]:5.0f})" for seconds in (their_seconds, our_seconds)]
            report(f"{role:5} {clocks[0]:>18} {clocks[1]:>18} {their_seconds[0] / our_seconds[0]:6.1f}   {columns_shown}")
    published_total, published_busy, our_total, our_busy = totals
    ratio, busy_ratio = published_total / our_total, published_busy / our_busy
    report(f"block {published_total:.1f} s against {our_total:.1f} s: {ratio:.2f} × (CPU {busy_ratio:.2f} ×)")


if __name__ == "__main__":
    main()
