"""Hidden states on their way through a model, block by block, in memory or on disk.

A block is called as the model itself calls it: what it is given beside the hidden states (masks, positions) is recorded in one pass over
one window in which every block hands its input on, so that no block needs its weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.families import blocks_of
from drank.models.forward import forwards
from drank.runtime.files import replacing
from drank.runtime.finite import NonFiniteError, finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel


REMEDY = "another process may have worked in this folder: delete it and run again"


class IncompleteStatesError(ValueError):
    """Hidden states on disk of which some are missing."""


class _BlockReached(Exception):
    """Ends a forward pass once what a block is given is known."""


@dataclass(frozen=True)
class Arguments:
    """What a block is given beside the hidden states; recorded from one window, it broadcasts over any batch."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


@dataclass
class Stream:
    """The hidden states that enter a block, a tensor (windows, tokens, d) per batch, and the other arguments of every block."""

    states: Iterable[Tensor]
    arguments: list[Arguments]


@dataclass(frozen=True)
class StoredStates:
    """Hidden states on disk, one file per batch: read anew, batch by batch, each time they are iterated over.

    `sizes` are the windows of each batch that there must be: what is not all there is never read as if it were.
    """

    directory: Path
    device: torch.device
    sizes: tuple[int, ...]

    def __iter__(self) -> Iterator[Tensor]:
        """The batches in order, on the device; raises IncompleteStatesError where one is missing, too many or of another size."""
        from safetensors.torch import load_file

        names = [f"{batch:06d}.safetensors" for batch in range(len(self.sizes))]
        found = sorted(file.name for file in self.directory.iterdir())
        if found != names:
            raise IncompleteStatesError(f"{self.directory} holds {len(found)} batches of hidden states of {len(names)}; {REMEDY}")
        for name, size in zip(names, self.sizes, strict=True):
            states = load_file(self.directory / name, str(self.device))["states"]
            if len(states) != size:
                raise IncompleteStatesError(f"{self.directory / name} holds {len(states)} windows of {size}; {REMEDY}")
            yield states


def sizes_of(windows: Tensor, batch: int) -> tuple[int, ...]:
    """The windows of each batch when windows of token ids (windows, tokens) are taken `batch` at a time."""
    return tuple(len(chunk) for chunk in windows.split(batch) if len(chunk))


def store_states(directory: Path, states: Iterable[Tensor]) -> None:
    """Write hidden states as a folder that `StoredStates` reads, whole or not at all."""
    from safetensors.torch import save_file

    with replacing(directory) as temporary:
        temporary.mkdir()
        for batch, tensor in enumerate(states):
            save_file({"states": tensor.cpu().contiguous()}, temporary / f"{batch:06d}.safetensors")


def states_at(work: Path, layer: int) -> Path:
    """The folder of the hidden states that enter a layer, in the folder of a run under way."""
    return work / f"states-{layer:03d}"


def arguments_of(model: PreTrainedModel, window: Tensor) -> list[Arguments]:
    """What each block is given beside the hidden states, recorded with one window of token ids, (1, tokens)."""
    import torch

    blocks = blocks_of(model)
    found: list[Arguments] = []

    def record(hidden_states: Tensor, *positional: Any, **named: Any) -> Tensor:
        found.append(Arguments(positional, named))
        if len(found) == len(blocks):
            raise _BlockReached  # the head would compute in vain
        return hidden_states

    with forwards(blocks, record), torch.no_grad(), suppress(_BlockReached):
        model(input_ids=window.to(model.device), use_cache=False)
    return found


def embedded(model: PreTrainedModel, windows: Tensor, batch: int) -> Iterator[Tensor]:
    """The hidden states that enter the first block for windows of token ids (windows, tokens), batch by batch."""
    import torch

    found: list[Tensor] = []

    def stop(hidden_states: Tensor, *_positional: Any, **_named: Any) -> None:
        found.append(hidden_states)
        raise _BlockReached

    for chunk in windows.split(batch) if len(windows) else ():
        with forwards(blocks_of(model)[:1], stop), torch.no_grad(), suppress(_BlockReached):
            model(input_ids=chunk.to(model.device), use_cache=False)
        yield found.pop()


def open_stream(model: PreTrainedModel, windows: Tensor, batch: int) -> Stream:
    """The stream that enters the first block for windows of token ids, (windows, tokens), in memory."""
    return Stream(list(embedded(model, windows, batch)), arguments_of(model, windows[:1]))


def apply(block: nn.Module, states: Tensor, arguments: Arguments) -> Tensor:
    """The hidden states that leave a block."""
    result = block(states, *arguments.positional, **arguments.named)
    return result[0] if isinstance(result, tuple) else result


def step(block: nn.Module, layer: int, stream: Stream) -> Iterator[tuple[Tensor, Tensor]]:
    """The hidden states that enter and those that leave a block, batch by batch; raises NonFiniteError naming the layer."""
    import torch

    for entering in stream.states:
        with torch.no_grad():
            leaving = apply(block, entering, stream.arguments[layer])
        if not finite(leaving):
            raise NonFiniteError(
                f"layer {layer}: the hidden states that leave the block are not finite in {leaving.dtype}; "
                "run in float32 (`compute: dtype: float32`), and check the checkpoint for damaged weights"
            )
        yield entering, leaving


def advance(block: nn.Module, layer: int, stream: Stream) -> None:
    """Let the stream go on through a block, in memory: batch by batch, so that no two layers' states are held; raises as `run_block`."""
    stream.states = states = list(stream.states)
    for index, (_, leaving) in enumerate(step(block, layer, stream)):
        states[index] = leaving


def run_block(block: nn.Module, layer: int, stream: Stream) -> list[Tensor]:
    """The hidden states that leave a block, in memory; raises NonFiniteError naming the layer."""
    return [leaving for _, leaving in step(block, layer, stream)]
