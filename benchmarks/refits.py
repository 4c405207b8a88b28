"""What refits cost in time: `python -m benchmarks.refits DENSE COMPRESSED SPECTRA [--windows 64] [--length 256] [--blocks 2]`.

DENSE and COMPRESSED are directories of models, the second made out of the first, SPECTRA that of the spectra of its method; the text is
random token ids. With one thread unless `--threads` says otherwise: one pass of the dense model through its first blocks, and each refit
of the same blocks. Prints processor seconds for a block, with the ratio to the pass.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from drank.allocation.plan import Plan
from drank.calibration.streams import open_stream, run_block
from drank.compression import anchoring, compensation
from drank.compression.pairing import paired_blocks
from drank.compression.refit import refit
from drank.compression.refits import TOLD
from drank.models.checkpoint import load_model
from drank.models.documents import PLAN
from drank.models.families import blocks_of
from drank.models.weights import Checkpoint


def first(count: int, blocks: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """`blocks` without those after the first so many."""
    return lambda *args, **named: islice(blocks(*args, **named), count)


def forward(model: Any, windows: torch.Tensor, count: int) -> None:
    """One pass through the first blocks."""
    stream = open_stream(model, windows, 8)
    for layer, block in enumerate(blocks_of(model)[:count]):
        stream.states = run_block(block, layer, stream)


def main() -> None:
    """Time the refits one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dense", "compressed", "spectra"):
        parser.add_argument(name)
    for name, default in {"windows": 64, "length": 256, "blocks": 2, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    dense, plan = load_model(asked.dense, "float32"), Plan.read(f"{asked.compressed}/{PLAN}")
    windows = torch.randint(0, dense.config.vocab_size, (asked.windows, asked.length), generator=torch.Generator().manual_seed(0))
    told = {"dense": dense, "plan": plan, "spectra": asked.spectra, "windows": windows}
    ways: dict[str, Callable[[Any], Any]] = {"forward": partial(forward, windows=windows, count=asked.blocks)}
    ways |= {name: partial(one, **told) for name, one in TOLD.items()}
    ways["in-order"] = partial(refit, checkpoint=Checkpoint(Path(asked.dense)), windows=windows)
    once = None
    for name, run in ways.items():
        model = dense if name == "forward" else load_model(asked.compressed, "float32")
        with (
            patch.object(anchoring, "paired_blocks", first(asked.blocks, paired_blocks)),
            patch.object(compensation, "paired_blocks", first(asked.blocks, paired_blocks)),
            patch("drank.compression.refit.blocks_of", lambda model: blocks_of(model)[: asked.blocks]),
        ):
            started = time.process_time()
            run(model)
            seconds = (time.process_time() - started) / asked.blocks
        once = once or seconds
        sys.stdout.write(f"{name:<12} {seconds:8.2f} s a block  {seconds / once:5.2f} ×\n")


if __name__ == "__main__":
    main()
