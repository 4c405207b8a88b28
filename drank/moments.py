"""The input statistics of a model: XᵀX of every tensor that a compressible projection reads, block by block.

Each block is run once over all calibration windows, with the hidden states that left the block before it, so that only one block need
be on the device. Projections that read the same tensor share its moments. Sums are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.families import Family, blocks_of, family_of
from drank.files import replacing, write_json
from drank.steplog import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class NonFiniteError(ValueError):
    """An activation, moment or loss that is infinite or not a number."""


class _FirstBlockReached(Exception):
    """Ends a forward pass once the input of the first block is known."""


@dataclass
class Stream:
    """The hidden states that enter a block, a tensor (windows, tokens, d) per batch, and the other arguments of every block."""

    states: list[Tensor]
    arguments: list[dict[str, Any]]


def open_stream(model: PreTrainedModel, windows: Tensor, batch: int) -> Stream:
    """The stream that enters the first block for windows of token ids, (windows, tokens)."""
    import torch

    blocks = blocks_of(model)
    arguments: list[dict[str, Any]] = [{} for _ in blocks]
    states: list[Tensor] = []

    def remember(layer: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            arguments[layer] = {name: value for name, value in kwargs.items() if name != "hidden_states"}

        return hook

    def stop(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states.append(args[0] if args else kwargs["hidden_states"])
        raise _FirstBlockReached

    with torch.no_grad():
        handles = [block.register_forward_pre_hook(remember(i), with_kwargs=True) for i, block in enumerate(blocks)]
        with _removed(handles):
            model(input_ids=windows[:1].to(model.device), use_cache=False)  # one window: its arguments broadcast over any batch
        with _removed([blocks[0].register_forward_pre_hook(stop, with_kwargs=True)]):
            for chunk in windows.split(batch):
                try:
                    model(input_ids=chunk.to(model.device), use_cache=False)
                except _FirstBlockReached:
                    continue
    return Stream(states, arguments)


@contextmanager
def _removed(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_block(block: nn.Module, layer: int, stream: Stream) -> list[Tensor]:
    """The hidden states that leave a block; raises NonFiniteError naming the layer."""
    import torch

    results = []
    with torch.no_grad():
        for states in stream.states:
            result = block(states, **stream.arguments[layer])
            result = result[0] if isinstance(result, tuple) else result
            if not torch.isfinite(result).all():
                raise NonFiniteError(
                    f"layer {layer}: the hidden states that leave the block are not finite in {result.dtype}; "
                    "run in float32 (`compute: dtype: float32`), and check the checkpoint for damaged weights"
                )
            results.append(result)
    return results


@contextmanager
def collecting(block: nn.Module, family: Family) -> Iterator[dict[str, Tensor]]:
    """The moments XᵀX of every shared input of a block, float64 (d1, d1) by name, summed over what the block reads meanwhile."""
    import torch

    grams: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            rows = args[0].flatten(0, -2).to(torch.float64)
            gram = grams.setdefault(name, torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device))
            gram.addmm_(rows.T, rows)

        return hook

    first = {projection.reads: projection for projection in reversed(family.projections)}
    handles = [block.get_submodule(projection.path).register_forward_pre_hook(watch(name)) for name, projection in first.items()]
    with _removed(handles):
        yield grams


def check_finite(grams: dict[str, Tensor], layer: int) -> None:
    """Raise NonFiniteError naming every input of a layer whose moments are not finite."""
    bad = sorted(name for name, gram in grams.items() if not gram.isfinite().all())
    if bad:
        raise NonFiniteError(
            f"layer {layer}: the moments of the input of {', '.join(bad)} are not finite; an activation overflowed during calibration: "
            "run in float32 (`compute: dtype: float32`), and check the checkpoint for damaged weights"
        )


def calibrate(model: PreTrainedModel, windows: Tensor, batch: int = 8) -> Iterator[dict[str, Tensor]]:
    """The moments of each block in turn, by input name, over calibration windows of token ids (windows, tokens).

    Raises NonFiniteError, naming the layer, where an activation or a moment is not finite.
    """
    family = family_of(model.config.model_type)
    stream = open_stream(model, windows, batch)
    for layer, block in enumerate(progress(blocks_of(model), "moments, block")):
        with collecting(block, family) as grams:
            stream.states = run_block(block, layer, stream)
        check_finite(grams, layer)
        yield grams


def write_moments(directory: str | Path, moments: Iterator[dict[str, Tensor]], facts: dict[str, Any]) -> None:
    """Write moments as a directory of one safetensors file per layer with `facts.json`, whole or not at all."""
    from safetensors.torch import save_file

    with replacing(directory) as temporary:
        temporary.mkdir()
        for layer, grams in enumerate(moments):
            save_file({name: gram.cpu() for name, gram in grams.items()}, temporary / f"layer-{layer:03d}.safetensors")
        write_json(temporary / "facts.json", facts)


def read_moments(directory: str | Path, layer: int, name: str) -> Tensor:
    """The moments of one input of one layer, float64 (d1, d1)."""
    from safetensors import safe_open

    with safe_open(Path(directory) / f"layer-{layer:03d}.safetensors", framework="pt") as file:
        return file.get_tensor(name)
