"""The input statistics of a model, block by block: XᵀX and mean |x| of every tensor that a compressible projection reads.

Each block is run once over all calibration windows, with the hidden states that left the block before it, so that only one block need
be in memory: the hidden states lie on disk. Projections that read the same tensor share its statistics. Sums are float64. Of an input's
first tokens, twice as many as it has features, so are the products: XᵀX of few tokens lacks rank, and noise must not hide that. Of what
follows, products of up to 256 tokens are summed in float32 before, or in float64 where the model is.

Against float64 throughout, with such sums from the first token on, on the embedded model in float32 with 8,192 tokens: every entry of
XᵀX is within 2.4e-7 of the scale of its two features (rounding the activations themselves gives 0.5e-7), every λ within 1.5e-8 of their
sum and 1.5e-5 of itself, the energy beyond half the full rank within 2.5e-7 of itself, and the weighted error of the factors of that rank
within 5e-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.layer_files import identity, layers_in, read_layer, write_facts, write_layer
from drank.calibration.streams import (
    StoredStates,
    Stream,
    arguments_of,
    embedded,
    open_stream,
    removed,
    run_block,
    sizes_of,
    states_at,
    step,
    store_states,
    wide,
)
from drank.models.families import Family, family_of
from drank.models.residency import resident
from drank.runtime.files import remove, resuming
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

__all__ = ["NonFiniteError", "Stream", "open_stream", "run_block"]

TOKENS_A_PRODUCT = 256
"""Rows whose products are summed in float32 before they join the float64 sum."""

SCARCE = 2
"""Tokens, as a multiple of an input's features, up to which products are float64."""

PANEL = 256
"""Columns of XᵀX computed at once: of each panel only the part on and above the diagonal."""


class Sums:
    """XᵀX and Σ|x| over the tokens (rows) that were added, both float64."""

    def __init__(self, width: int, device: Any) -> None:
        """Zeros for rows of `width` features."""
        import torch

        self._gram = torch.zeros(width, width, dtype=torch.float64, device=device)
        self.absolute = torch.zeros(width, dtype=torch.float64, device=device)
        self.tokens = 0

    def add(self, rows: Tensor) -> None:
        """Count rows (tokens, width) in."""
        for chunk in wide(rows).split(TOKENS_A_PRODUCT):
            if self.tokens < SCARCE * rows.shape[1]:
                chunk = chunk.double()
            self.tokens += len(chunk)
            self.absolute += chunk.abs().sum(0)
            for start in range(0, rows.shape[1], PANEL):
                self._gram[start : start + PANEL, start:] += chunk[:, start : start + PANEL].mT @ chunk[:, start:]

    def gram(self) -> Tensor:
        """XᵀX, (width, width), exactly symmetric; not a copy, so nothing can be added any more."""
        for start in range(0, len(self._gram), PANEL):
            stop = start + PANEL
            corner = self._gram[start:stop, start:stop]
            corner.copy_(corner.triu() + corner.triu(1).mT)
            self._gram[stop:, start:stop] = self._gram[start:stop, stop:].mT
        return self._gram


@contextmanager
def collecting(block: nn.Module, family: Family) -> Iterator[dict[str, Tensor]]:
    """The statistics of every shared input of a block over what the block reads until the context ends, which is when they are there.

    By input name, float64: XᵀX (d1, d1) summed over tokens, under `{name}.absolute` the mean of |x| over tokens, (d1,), and under
    `{name}.tokens` their number; all zero for an expert that no token reached. `family` has concrete projections, as
    `family_of(model.config)` gives.
    """
    import torch

    sums: dict[str, Sums] = {}
    statistics: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            rows = args[0].detach().flatten(0, -2)
            if name not in sums:
                sums[name] = Sums(rows.shape[1], rows.device)
            sums[name].add(rows)

        return hook

    first: dict[str, Any] = {projection.reads: block.get_submodule(projection.path) for projection in reversed(family.projections)}
    with removed([module.register_forward_pre_hook(watch(name)) for name, module in first.items()]):
        yield statistics
    for name, module in first.items():
        found = sums.get(name) or Sums(module.in_features, torch.device("cpu"))  # an expert that no token reached
        statistics[name] = found.gram()
        statistics[f"{name}.absolute"] = found.absolute / max(found.tokens, 1)
        statistics[f"{name}.tokens"] = torch.tensor(found.tokens, dtype=torch.float64)


def check_finite(statistics: dict[str, Tensor], layer: int) -> None:
    """Raise NonFiniteError naming every input of a layer whose moments are not finite."""
    bad = sorted({name.removesuffix(".absolute") for name, values in statistics.items() if not finite(values)})
    if bad:
        raise NonFiniteError(
            f"layer {layer}: the moments of the input of {', '.join(bad)} are not finite; an activation overflowed during calibration: "
            "run in float32 (`compute: dtype: float32`), and check the checkpoint for damaged weights"
        )


def calibrate(
    model: PreTrainedModel, windows: Tensor, directory: str | Path, facts: dict[str, Any], batch: int = 8, key: Any = None
) -> None:
    """Write the moments of every block over windows of token ids (windows, tokens) as a directory: one file per layer and `facts.json`.

    `layer-XXX.safetensors` holds what `collecting` gives, `similarity`, the mean over tokens of the cosine between the hidden states that
    enter and those that leave the block (ShortGPT, arXiv:2403.03853), and `tokens`, their number. A run that was interrupted goes on at
    the block it had reached where `facts`, `key` (whatever else decides the result: code, device), windows and batch are the same. Raises
    NonFiniteError, naming the layer, where an activation or a moment is not finite, TakenOverError where another process goes on with it.
    """
    arguments = arguments_of(model, windows[:1])
    with resuming(directory, identity(model, windows, batch, facts, key)) as partial:
        work = partial / "work"
        work.mkdir(exist_ok=True)
        done = layers_in(partial)
        if done == 0 and not states_at(work, 0).exists():
            store_states(states_at(work, 0), embedded(model, windows, batch))
        for layer in progress(range(done, len(arguments)), "moments, block"):
            stream = Stream(StoredStates(states_at(work, layer), model.device, sizes_of(windows, batch)), arguments)
            write_layer(partial, layer, _statistics(model, layer, stream, states_at(work, layer + 1)))
            remove(states_at(work, layer))
        remove(work)
        write_facts(partial, facts, windows.numel())


def _statistics(model: PreTrainedModel, layer: int, stream: Stream, leaving: Path) -> dict[str, Tensor]:
    """The statistics of one block; the hidden states that leave it go to the folder `leaving`."""
    import torch

    cosines: list[Tensor] = []

    def compare(pairs: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        for entering, left in pairs:
            cosines.append(torch.cosine_similarity(wide(entering), wide(left), dim=-1).double().flatten())
            yield left

    with resident(model, layer) as block, collecting(block, family_of(model.config)) as statistics:
        store_states(leaving, compare(step(block, layer, stream)))
    check_finite(statistics, layer)
    similarities = torch.cat(cosines)
    return {**statistics, "similarity": similarities.mean(), "tokens": torch.tensor(len(similarities), dtype=torch.float64)}


def read_moments(directory: str | Path, layer: int, name: str) -> Tensor:
    """A statistic of one layer, float64: XᵀX (d1, d1) of an input such as `attention`, or its mean |x| (d1,) as `attention.absolute`."""
    return read_layer(directory, layer, name)


def read_similarities(directory: str | Path) -> list[float]:
    """The cosine between what enters and what leaves each block, by layer."""
    return [read_layer(directory, layer, "similarity").item() for layer in range(layers_in(directory))]
