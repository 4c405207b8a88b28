"""Time the products that models are run by: `python -m benchmarks.products [--threads 1] [--rows 1 512]`.

What `drank.models.execution.product` rests on. For each precision and shape of a weight, as many weights as no cache holds: a product with
so many rows as nn.Linear keeps a weight, with its other side contiguous, in float32 (`Product`, from `WIDE_FROM` rows on), and packed by
oneDNN (`Packed`) in a precision that it multiplies; then the gather that puts the rows' inputs in another order. Prints microseconds of
each, and gigabytes a second of the first.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from drank.models.execution.packing import Packed, native
from drank.models.execution.product import Product

SHAPES = ((576, 2048), (2048, 576), (5632, 896), (5632, 2048))
"""Outputs and inputs: of a basis, of coefficients twice, of a dense matrix."""

BYTES = 2e8
"""Bytes of all weights of a shape: more than a cache."""


def microseconds(runs: list[Callable[[], Tensor]], repeats: int) -> float:
    """The median over rounds of the time of one of these."""
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        for run in runs:
            run()
        found.append((time.perf_counter() - started) / len(runs))
    return 1e6 * statistics.median(found[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 128])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    sys.stdout.write("µs             weight      rows   nn.Linear   GB/s  other side  in float32      packed      gather\n")
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for outputs, inputs in SHAPES:
            weights = [torch.randn(outputs, inputs).to(dtype) for _ in range(int(BYTES / (outputs * inputs * dtype.itemsize)))]
            other = [weight.mT.contiguous().mT for weight in weights]
            products = [Product.of(weight) for weight in weights]
            for product in products:
                product.wide = dtype != torch.float32
            order = torch.randperm(inputs)
            for rows in asked.rows:
                x, few = torch.randn(rows, inputs).to(dtype), 4 if rows > 16 else len(weights)
                runs: list[list[Callable[[], Tensor]]] = [
                    [partial(functional.linear, x, weight) for weight in weights[:few]],
                    [partial(functional.linear, x, weight) for weight in (other if dtype == torch.float32 else other[:1])[:few]],
                    [partial(product.forward, x) for product in products[:few]],
                    [partial(Packed(product).forward, x) for product in products[:few] if native(product.weight)],
                    [partial(x.gather, -1, order.expand(rows, -1))],
                ]
                with torch.inference_mode():
                    plain, *others = (microseconds(each, asked.repeats) if each else math.nan for each in runs)
                rate = weights[0].nbytes / plain / 1e3
                name = f"{str(dtype).removeprefix('torch.'):9} {outputs:5} × {inputs:5} {rows:6}"
                sys.stdout.write(f"{name} {plain:11.0f} {rate:6.1f} {' '.join(f'{value:11.0f}' for value in others)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
