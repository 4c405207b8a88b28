"""ASVD's sensitivity search: the perplexity of a model in which one group alone is truncated, for every group and several kept ratios.

ASVD (arXiv:2312.05821). The blocks before a group do not depend on it, so the hidden states that reach its first layer are
kept, and only the blocks from there on and what follows the last one are run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drank.calibration.streams import Stream, open_stream, run_block
from drank.models.families import Projection, blocks_of, projections_of
from drank.models.forward import own_logits_of
from drank.models.groups import Shape
from drank.models.weights import Checkpoint
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress
from drank.spectra.spectrum import read_bases, read_summary

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

KEPT = tuple(tenths / 10 for tenths in range(1, 10))
"""The shares of a group's parameters that its factors keep."""

LARGEST_LOSS = 700.0
"""The loss per token above which the perplexity is no number in float64."""


def search(
    model: PreTrainedModel, checkpoint: Checkpoint, spectra: str | Path, windows: Tensor, batch: int = 8
) -> dict[str, dict[str, float]]:
    """The perplexity on windows of token ids, (windows, tokens), with each group alone truncated: by group and kept ratio, "0.1" to "0.9".

    The model is the whole dense one and is afterwards as it was. At a kept ratio a group has the largest rank whose factors hold no more
    than this share of its parameters, at least 1. Raises NonFiniteError naming group and ratio where a loss is not finite or too large.
    """
    weights = {(part.role, layer): (part, module.get_parameter("weight")) for layer, part, module in projections_of(model)}
    shapes = sorted(read_summary(spectra)[0], key=lambda shape: shape.layers[0])
    stream, reached, blocks = open_stream(model, windows, batch), 0, blocks_of(model)
    ids = windows.to(model.device).split(batch)
    found: dict[str, dict[str, float]] = {shape.name: {} for shape in shapes}
    for shape in progress(shapes, "sensitivity, group"):
        for layer in range(reached, shape.layers[0]):
            stream.states = run_block(blocks[layer], layer, stream)
        reached = shape.layers[0]
        members = [weights[shape.role, layer] for layer in shape.layers]
        with _restored([weight for _, weight in members]):
            for kept, matrix in zip(KEPT, truncations(checkpoint, shape, spectra, model.device), strict=True):
                _place(members, matrix)
                try:
                    found[shape.name][f"{kept:g}"] = _perplexity(model, stream, ids, reached)
                except NonFiniteError as error:
                    raise NonFiniteError(f"group {shape.name} alone, truncated to {kept:g} of its parameters: {error}") from error
    return found


def truncations(checkpoint: Checkpoint, shape: Shape, spectra: str | Path, device: torch.device) -> Iterator[Tensor]:
    """The products B C of a group, float64 (d1, n·d2), at every kept ratio of `KEPT` in turn.

    The factors of each are the beginning of the next one's, so a product is the one before and what the further ranks add to it.
    """
    import torch

    ranks = [max(1, math.floor(kept * shape.break_even + 1e-9)) for kept in KEPT]
    coefficients, duals = (part.to(device, torch.float64) for part in read_bases(spectra, {shape.name: ranks[-1]})[shape.name])
    basis = checkpoint.group_matrix(shape).to(device) @ duals.mT
    product, done = torch.zeros(shape.rows, shape.width, dtype=torch.float64, device=device), 0
    for rank in ranks:
        product, done = torch.addmm(product, basis[:, done:rank], coefficients[done:rank]), rank
        yield product


@contextmanager
def _restored(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Gives weights the values back that they have now."""
    values = [weight.detach().clone() for weight in weights]
    try:
        yield
    finally:
        for weight, value in zip(weights, values, strict=True):
            weight.data.copy_(value)


def _place(members: Sequence[tuple[Projection, nn.Parameter]], matrix: Tensor) -> None:
    """Set the weights of a group's projections to the blocks of `matrix`, (d1, n·d2)."""
    for (projection, weight), block in zip(members, matrix.chunk(len(members), dim=1), strict=True):
        weight.data.copy_(block if projection.transposed else block.mT)


def _perplexity(model: PreTrainedModel, stream: Stream, ids: Sequence[Tensor], layer: int) -> float:
    """The perplexity on batches of token ids whose hidden states entering `layer` are those of the stream."""
    import torch

    stream = Stream(stream.states, stream.arguments)
    for later, block in list(enumerate(blocks_of(model)))[layer:]:
        stream.states = run_block(block, later, stream)
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(logits.float(), window[1:], reduction="none").double().sum().item()
            for states, batch in zip(stream.states, ids, strict=True)
            for logits, window in zip(own_logits_of(model, states, batch), batch, strict=True)
        ]
    mean = math.fsum(losses) / sum(batch[:, 1:].numel() for batch in ids)
    if not mean < LARGEST_LOSS:
        raise NonFiniteError(
            f"the loss per token is {mean}; run in float32 (`compute: dtype: float32`), and check the spectrum's weighting"
        )
    return math.exp(mean)
