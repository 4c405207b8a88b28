"""Time a projection stored pivoted against two factors: `python -m benchmarks.storage`.

For each shape, dtype and kept share: two factors, the pivoted form of the same stored numbers, and that of the factors' rank, each as the
module that a compressed model has. Decode is one token, prefill `--tokens`. The three take turns, so that whatever else the machine does
disturbs all; of each the lower quartile over `--repeats` counts. Prints microseconds, the ratio at equal numbers, and at equal rank the
ratio beside that of the products. `--multiple 64` rounds ranks down to such as kernels like.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from drank.models.groups import Shape
from drank.models.lowrank import LowRankLinear, PivotedLinear

SHAPES = ((4096, 4096), (4096, 11008), (11008, 4096))
KEPT = (0.8, 0.6, 0.4)


def say(line: str) -> None:
    """A line to whoever waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def factors_at(rows: int, columns: int, rank: int, dtype: torch.dtype) -> LowRankLinear:
    """Two random factors."""
    dense = nn.Linear(rows, columns, bias=False, dtype=dtype)
    module = LowRankLinear(dense, rank)
    module.fill(torch.randn(rows, rank) / rows**0.5, torch.randn(rank, columns) / rank**0.5, dense)
    return module


def pivoted_at(rows: int, columns: int, rank: int, dtype: torch.dtype) -> PivotedLinear:
    """A random pivoted form; which inputs are pivots does not matter to its speed, and these lie scattered."""
    dense = nn.Linear(rows, columns, bias=False, dtype=dtype)
    module = PivotedLinear(dense, rank)
    module.fill(torch.randn(rows - rank, rank) / rows**0.5, torch.randn(rank, columns) / rank**0.5, dense)
    module.place(torch.randperm(rows)[:rank])
    return module


def timed(modules: Sequence[nn.Module], x: Tensor, repeats: int) -> list[float]:
    """Seconds of a call of each, taken in turn: the lower quartile."""
    runs: list[Callable[[], Tensor]] = [lambda module=module: module(x) for module in modules]  # type: ignore[misc]
    seconds: list[list[float]] = [[] for _ in runs]
    with torch.no_grad():
        for run in runs:
            run()
        for _ in range(repeats):
            for found, run in zip(seconds, runs, strict=True):
                started = time.perf_counter()
                run()
                found.append(time.perf_counter() - started)
    return [sorted(found)[len(found) // 4] for found in seconds]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--multiple", type=int, default=1)
    arguments = parser.parse_args()
    say(f"{torch.get_num_threads()} threads; µs of factors, pivoted of equal numbers, pivoted of equal rank")
    say("dtype     shape          kept  tokens   factors  pivoted   ratio  same rank   ratio  (products)")
    for dtype in (torch.float32, torch.bfloat16):
        for rows, columns in SHAPES:
            for kept in KEPT:
                shapes = [Shape("q", (0,), rows, columns, storage) for storage in ("factors", "pivoted")]
                fits = [shape.rank_within(int(kept * shape.dense_parameters)) for shape in shapes]
                rank, higher = (fit // arguments.multiple * arguments.multiple for fit in fits)
                modules = [
                    factors_at(rows, columns, rank, dtype),
                    *(pivoted_at(rows, columns, one, dtype) for one in (higher, rank)),
                ]
                products = 1 - rank / (rows + columns)
                for tokens in (1, arguments.tokens):
                    x = torch.randn(1, tokens, rows, dtype=dtype)
                    repeats = arguments.repeats if tokens == 1 else max(5, arguments.repeats // 5)
                    one, two, three = timed(modules, x, repeats)
                    name = f"{str(dtype).removeprefix('torch.'):9} {rows:5} × {columns:5}  {kept:.1f}  {tokens:6}"
                    equal = f"{one * 1e6:8.0f} {two * 1e6:8.0f}  {two / one:6.3f}"
                    say(f"{name}  {equal}   {three * 1e6:8.0f}  {three / one:6.3f}  {products:.3f}")


if __name__ == "__main__":
    main()
