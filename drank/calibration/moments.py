"""The input statistics of a model, block by block: XᵀX and mean |x| of every tensor that a compressible projection reads.

Each block is run once over all calibration windows, with the hidden states that left the block before it, so that only one block need
be in memory: the hidden states lie on disk. Projections that read the same tensor share its statistics. What is taken are sums over
tokens, so that a share of the windows has a part of them: parts that are added (`parts`) make the moments that one pass makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.layer_files import SEEN, identity, layers_in, read_layer, write_facts, write_layer
from drank.calibration.parts import part_facts
from drank.calibration.streams import (
    StoredStates,
    Stream,
    arguments_of,
    embedded,
    open_stream,
    run_block,
    sizes_of,
    states_at,
    step,
    store_states,
)
from drank.calibration.sums import Sums, tokens_before
from drank.models.families import Family, Projection, family_of
from drank.models.forward import removed, wide
from drank.models.residency import resident
from drank.runtime.files import remove, resuming
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

__all__ = ["NonFiniteError", "Stream", "open_stream", "run_block"]

SIMILARITY = "similarity"
"""The name of the sum of the cosines, and of their mean."""


@contextmanager
def collecting(block: nn.Module, family: Family, before: int = 0) -> Iterator[dict[str, Tensor]]:
    """The sums of every shared input of a block over what the block reads until the context ends, which is when they are there.

    By input name, float64, each a sum over tokens: XᵀX (d1, d1), under `{name}.absolute` that of |x|, (d1,), and under `{name}.tokens`
    their number; all zero for an expert that no token reached. `family` has concrete projections, as `family_of(model.config)` gives;
    `before` tokens of the text are read elsewhere (`Sums`).
    """
    import torch

    sums: dict[str, Sums] = {}
    statistics: dict[str, Tensor] = {}

    def watch(projection: Projection) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            rows = args[0].detach().flatten(0, -2)
            if projection.reads not in sums:
                sums[projection.reads] = Sums(rows.shape[1], rows.device, tokens_before(projection, before))
            sums[projection.reads].add(rows)

        return hook

    first = {projection.reads: projection for projection in reversed(family.projections)}
    with removed([block.get_submodule(p.path).register_forward_pre_hook(watch(p)) for p in first.values()]):
        yield statistics
    for name, projection in first.items():
        module: Any = block.get_submodule(projection.path)
        found = sums.get(name) or Sums(module.in_features, torch.device("cpu"))  # an expert that no token reached
        statistics[name] = found.gram()
        statistics[f"{name}.absolute"] = found.absolute
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
    model: PreTrainedModel,
    windows: Tensor,
    directory: str | Path,
    facts: dict[str, Any],
    batch: int = 8,
    key: Any = None,
    share: Share | None = None,
) -> None:
    """Write the moments of every block over windows of token ids (windows, tokens) as a directory: one file per layer and `facts.json`.

    `layer-XXX.safetensors` holds what `moments_of` makes of the sums over all windows. With a `share` it holds the sums over the windows
    of that share alone, and `facts.json` what `parts.gather` has to know to add them to the others'. A run that was interrupted goes
    on at the block it had reached where `facts`, `key` (whatever else decides the result: code, device), windows, batch and share are the
    same. Raises NonFiniteError, naming the layer, where an activation or a moment is not finite, TakenOverError where another process goes
    on with it.
    """
    arguments = arguments_of(model, windows[:1])
    own = (share or WHOLE).batches(len(windows), batch)
    with resuming(directory, identity(model, windows, batch, facts, key, share)) as partial:
        work = partial / "work"
        work.mkdir(exist_ok=True)
        done = layers_in(partial)
        if done == 0 and not states_at(work, 0).exists():
            store_states(states_at(work, 0), embedded(model, windows[own], batch))
        for layer in progress(range(done, len(arguments)), "moments, block"):
            stream = Stream(StoredStates(states_at(work, layer), model.device, sizes_of(windows[own], batch)), arguments)
            sums = _sums(model, layer, stream, states_at(work, layer + 1), own.start * windows.shape[1])
            write_layer(partial, layer, sums if share else moments_of(sums))
            remove(states_at(work, layer))
        remove(work)
        write_facts(partial, part_facts(share, model, facts, key) if share else facts, windows[own].numel())


def _sums(model: PreTrainedModel, layer: int, stream: Stream, leaving: Path, before: int) -> dict[str, Tensor]:
    """The sums over the tokens of one block; the hidden states that leave it go to the folder `leaving`."""
    import torch

    cosines = {name: torch.zeros((), dtype=torch.float64) for name in (SIMILARITY, SEEN)}

    def compare(pairs: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        for entering, left in pairs:
            found = torch.cosine_similarity(wide(entering), wide(left), dim=-1).double()
            cosines[SIMILARITY] += found.sum().cpu()
            cosines[SEEN] += found.numel()
            yield left

    with resident(model, layer) as block, collecting(block, family_of(model.config), before) as statistics:
        store_states(leaving, compare(step(block, layer, stream)))
    check_finite(statistics, layer)
    return {**statistics, **cosines}


def moments_of(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """The moments of a block from its sums over all tokens, float64: XᵀX as it is, and the means of |x|, by input, over the tokens read.

    `similarity` is the mean of the cosine between the hidden states that enter and those that leave the block (ShortGPT,
    arXiv:2403.03853), `tokens` the number of tokens that the block has seen.
    """
    moments = dict(sums)
    for name in sums:
        if name.endswith(".absolute"):
            moments[name] = sums[name] / sums[name.removesuffix("absolute") + "tokens"].clamp(min=1).to(sums[name].device)
    return moments | {SIMILARITY: sums[SIMILARITY] / sums[SEEN]}


def read_moments(directory: str | Path, layer: int, name: str) -> Tensor:
    """A statistic of one layer, float64: XᵀX (d1, d1) of an input such as `attention`, or its mean |x| (d1,) as `attention.absolute`."""
    return read_layer(directory, layer, name)


def read_similarities(directory: str | Path) -> list[float]:
    """The cosine between what enters and what leaves each block, by layer."""
    return [read_layer(directory, layer, SIMILARITY).item() for layer in range(layers_in(directory))]
