"""A compressed and the dense model side by side over the same text, block by block, and the moments of what both read at one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drank.calibration.moments import open_stream
from drank.calibration.streams import Arguments, Stream, advance, apply
from drank.calibration.sums import Sums
from drank.models.families import Family, Projection, blocks_of, family_of
from drank.models.forward import removed, wide
from drank.models.lowrank import matrix_of
from drank.models.residency import resident
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

TOKENS_APART = 1024
"""Rows whose products with what two models read apart are summed in float32 before they join the float64 sum."""


class _InputsKnown(Exception):
    """Ends a pass through a block once all inputs asked for are known."""


class PairedSums:
    """G' = X'ᵀX' and X'ᵀ(X − X') over tokens that the same input has in two models, both (d1, d1), float64.

    The second takes the place of X'ᵀX, next to which it is small, and so is what rounding does to it. Both are of products in the precision
    of `Sums`. With `alone`, for what an expert reads, what the compressed model reads counts as X too, and there is no second.
    """

    def __init__(self, width: int, device: torch.device, alone: bool = False) -> None:
        """Zeros."""
        import torch

        self._sums = Sums(width, device, -math.inf if alone else 0)
        self.apart = None if alone else torch.zeros(width, width, dtype=torch.float64, device=device)

    def add(self, found: Tensor, dense: Tensor) -> None:
        """Count rows in, (tokens, width) of the compressed model and of the dense one."""
        for x, y in zip(wide(found).split(TOKENS_APART), wide(dense).split(TOKENS_APART), strict=True):
            if self.apart is not None:
                gap = y - x
                x, gap = (x.double(), gap.double()) if self._sums.scarce else (x, gap)
                self.apart += x.mT @ gap
            self._sums.add(x)

    @property
    def gram(self) -> Tensor:
        """G', exactly symmetric."""
        return self._sums.gram()

    @property
    def is_finite(self) -> bool:
        """Whether both are."""
        return finite(self.gram) and (self.apart is None or finite(self.apart))


@dataclass
class PairedBlock:
    """A block of the compressed model and the `original` of the dense one, with the streams that enter them.

    `leaving` are the hidden states that leave the original, once a whole pass was made.
    """

    layer: int
    block: nn.Module
    original: nn.Module
    family: Family
    found: Stream
    wanted: Stream
    leaving: list[Tensor] = field(default_factory=list)

    def matrix(self, projection: Projection) -> Tensor:
        """W of a projection in the dense model, (d1, d2) float64."""
        return matrix_of(self.original.get_submodule(projection.path)).detach().double()

    def left(self) -> list[Tensor]:
        """What has left the dense model's block when both streams have stepped on, one tensor (tokens, d) for each window, on the host."""
        return [states.cpu() for chunk in self.wanted.states for states in chunk]

    def sums(self, names: Collection[str] | None = None, last: bool = False) -> dict[str, PairedSums]:
        """The moments of inputs by name, of all or of those named, in one pass of both blocks as they are now.

        The compressed one is run no further than its inputs; the original goes on to its end where all, or the `last` of a block, are asked
        for. Experts read the tokens that are routed to them, which differ between the models: what theirs are in the compressed model
        counts as X too, and one that no token reached is left out. Raises NonFiniteError naming the layer.
        """
        first = {p.reads: p for p in reversed(self.family.projections) if names is None or p.reads in names}
        whole, sums = names is None or last, dict[str, PairedSums]()
        left: list[Tensor | None] = []
        for found, wanted in zip(self.found.states, self.wanted.states, strict=True):
            inputs, _ = read(self.block, found, self.found.arguments[self.layer], first, stop=True)
            originals, leaving = read(self.original, wanted, self.wanted.arguments[self.layer], first, stop=not whole)
            left.append(leaving)
            for name, rows in inputs.items():
                alone = first[name].routed
                if name not in sums:
                    sums[name] = PairedSums(rows.shape[1], rows.device, alone)
                sums[name].add(rows, rows if alone else originals[name])
        self.leaving = [states for states in left if states is not None] if whole else []  # or of batches alone that reach not all experts
        if bad := [name for name, one in sums.items() if not one.is_finite]:
            raise NonFiniteError(
                f"layer {self.layer}: the moments of the input of {', '.join(bad)} are not finite; run in float32 "
                "(`compute: dtype: float32`), and check the checkpoint for damaged weights"
            )
        return sums


def paired_blocks(model: PreTrainedModel, dense: PreTrainedModel, windows: Tensor, batch: int, what: str) -> Iterator[PairedBlock]:
    """The blocks in order, to change those of the compressed model: both streams step on through each as it is left.

    `windows` are windows of token ids, (windows, tokens), `what` the name of the progress. One block of the dense model is in memory,
    which may be a skeleton (`drank.models.residency`).
    """
    family = family_of(model.config)
    found, wanted = open_stream(model, windows, batch), open_stream(dense, windows, batch)
    for layer, block in enumerate(progress(blocks_of(model), what)):
        with resident(dense, layer) as original:
            pair = PairedBlock(layer, block, original, family, found, wanted)
            yield pair
            if pair.leaving:
                wanted.states = pair.leaving
            else:
                advance(original, layer, wanted)
        advance(block, layer, found)


def read(
    block: nn.Module, states: Tensor, arguments: Arguments, first: Mapping[str, Projection], stop: bool = False
) -> tuple[dict[str, Tensor], Tensor | None]:
    """What the first projection of each name reads in a pass through a block, (tokens, d1), and the hidden states that leave it.

    With `stop` the pass ends where all inputs are known, and None leaves.
    """
    import torch

    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen[name] = args[0].detach().flatten(0, -2)
            if stop and len(seen) == len(first):
                raise _InputsKnown

        return hook

    leaving = None
    hooks = [block.get_submodule(p.path).register_forward_pre_hook(watch(name)) for name, p in first.items()]
    with removed(hooks), torch.no_grad(), suppress(_InputsKnown):
        leaving = apply(block, states, arguments)
    return seen, leaving
