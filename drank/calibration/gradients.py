"""What the loss says of every projection: the gradient of its weight, the second moment of the gradients at its output, Fisher rows.

One forward pass leaves the hidden states that enter each block on disk; one backward pass, from the last block to the first, runs each
block again and takes the gradient of the loss through it, so that only one block and its activations need be in memory.

With x what a projection reads, y = x W what it gives without bias, and g = ∂(Σ NLL)/∂y at one token, where the sum is over all predicted
tokens, ∂(Σ NLL)/∂W = Σ xᵀg. FWSVD (arXiv:2207.00112) weights the rows of W by their squared gradients, GFWSVD (arXiv:2505.17974) the
output side by the second moment of g; ZS-SVD (arXiv:2602.02848) ranks components by ∂loss/∂W.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.backward import ProjectionSums, logits_of, loss_gradient, through_block
from drank.calibration.layer_files import identity, layers_in, read_layer, write_facts, write_layer
from drank.calibration.losses import LABELS, Objective, divergence, sampled_loss, text_loss
from drank.calibration.streams import Arguments, StoredStates, Stream, arguments_of, embedded, sizes_of, states_at, step, store_states
from drank.models.families import family_of
from drank.models.residency import resident
from drank.runtime.files import read_json, remove, resuming, write_json
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def collect(
    model: PreTrainedModel,
    windows: Tensor,
    directory: str | Path,
    facts: dict[str, Any],
    batch: int = 8,
    key: Any = None,
    labels: str = "text",
    seed: int = 13,
    reference: Sequence[Tensor] | None = None,
) -> None:
    """Write what the next-token loss over windows of token ids (windows, tokens) says of every projection, as a directory.

    The labels are the text's, or with `sampled` drawn by `seed` from what the model predicts. Where `reference` holds the hidden states
    that leave the last block of another model, one tensor (tokens, d) for each window, the loss is KL(other ‖ model) instead; what
    follows the blocks must be the same in both.

    `layer-XXX.safetensors` holds for each role ρ: `ρ`, the gradient of the mean loss per token with respect to W, (d1, d2), float32 or
    in a float64 model float64; `ρ.outputs`, float64 (d2, d2), the mean over the N predicted tokens of gᵀg; `ρ.rows`, float64 (d1,), the
    mean over windows of Σ_j (∂ℓ/∂W_ij)², ℓ the mean loss of one window. `facts.json` holds `facts` and `loss`, the loss per token.

    An interrupted run is gone on with as `moments.calibrate` does. Raises ValueError for windows that predict nothing and for other
    labels, NonFiniteError where hidden states, the loss or gradients are not finite.
    """
    if windows.shape[1] < 2:
        raise ValueError("windows of one token predict nothing; set `length` to 2 or more")
    if labels not in LABELS:
        raise ValueError(f"labels {labels!r} are unknown; known: {', '.join(LABELS)}")
    objective = sampled_loss(seed) if labels == "sampled" else text_loss
    if reference is not None:
        objective = _divergence_from(model, reference)
    arguments = arguments_of(model, windows[:1])
    with resuming(directory, identity(model, windows, batch, facts, [key, labels, seed, reference is None])) as partial:
        work = partial / "work"
        work.mkdir(exist_ok=True)
        left = len(arguments) - layers_in(partial)
        if left == len(arguments) and not gradients_at(work, left).exists():
            _store_states(model, windows, arguments, work, batch)
            leaving = StoredStates(states_at(work, left), model.device, sizes_of(windows, batch))
            differentiated = _loss_gradients(model, windows, leaving, objective, partial / "facts.json", facts)
            store_states(gradients_at(work, left), differentiated)
        for layer in progress(range(left - 1, -1, -1), "gradients, block"):
            write_layer(partial, layer, _statistics(model, windows, layer, arguments[layer], work, batch))
            remove(states_at(work, layer))
            remove(gradients_at(work, layer + 1))
        remove(work)
        write_facts(partial, read_json(partial / "facts.json"), windows.numel())


def read_gradients(directory: str | Path, layer: int, name: str) -> Tensor:
    """A statistic of one layer: `q` the gradient of the weight (d1, d2), `q.outputs` (d2, d2) or `q.rows` (d1,), as `collect` says."""
    return read_layer(directory, layer, name)


def gradients_at(work: Path, layer: int) -> Path:
    """The folder of the gradients at the hidden states that enter a layer, in the folder of a run under way."""
    return work / f"gradients-{layer:03d}"


def _store_states(model: PreTrainedModel, windows: Tensor, arguments: list[Arguments], work: Path, batch: int) -> None:
    """Write the hidden states that enter each block and those that leave the last; what an earlier run wrote stays."""
    if not states_at(work, 0).exists():
        store_states(states_at(work, 0), embedded(model, windows, batch))
    for layer in progress(range(len(arguments)), "gradients, forward, block"):
        if not states_at(work, layer + 1).exists():
            stream = Stream(StoredStates(states_at(work, layer), model.device, sizes_of(windows, batch)), arguments)
            with resident(model, layer) as block:
                store_states(states_at(work, layer + 1), (leaving for _, leaving in step(block, layer, stream)))


def _divergence_from(model: PreTrainedModel, reference: Sequence[Tensor]) -> Objective:
    """KL of what another model predicts from what this one does, by the hidden states that leave the last block of the other."""
    import torch

    def loss(window: int, logits: Tensor, ids: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = logits_of(model, reference[window][None].to(logits.device), ids[None])[0]
        return divergence(wanted, logits)

    return loss


def _loss_gradients(
    model: PreTrainedModel, windows: Tensor, leaving: StoredStates, objective: Objective, path: Path, facts: dict[str, Any]
) -> Iterator[Tensor]:
    """The gradients at the hidden states that leave the last block, batch by batch; after the last, `facts` and the loss are at `path`."""
    import torch

    losses: list[float] = []
    for states in leaving:
        gradients = []
        for window in states.split(1):  # the logits of one window are large enough
            loss, gradient = loss_gradient(model, window, windows[len(losses)], len(losses), objective)
            losses.append(loss)
            gradients.append(gradient)
        yield torch.cat(gradients)
    write_json(path, {**facts, "loss": math.fsum(losses) / windows[:, 1:].numel()})


def _statistics(model: PreTrainedModel, windows: Tensor, layer: int, arguments: Arguments, work: Path, batch: int) -> dict[str, Tensor]:
    """The statistics of one block; the gradients at the hidden states that enter it are written."""
    import torch

    family = family_of(model.config)
    at_once = 1 if family.mixture else len(windows)
    sizes, tokens = sizes_of(windows, batch), 0
    entering, upstream = (StoredStates(at, model.device, sizes) for at in (states_at(work, layer), gradients_at(work, layer + 1)))
    with resident(model, layer) as block:
        sums = {p.role: ProjectionSums(block.get_submodule(p.path), model.device) for p in family.projections}

        def backward() -> Iterator[Tensor]:
            nonlocal tokens
            for pair in zip(entering, upstream, strict=True):
                tokens += pair[0].shape[:-1].numel()
                parts = zip(*(states.split(at_once) for states in pair), strict=True)
                yield torch.cat([through_block(block, layer, family, arguments, x, g, sums) for x, g in parts])

        store_states(gradients_at(work, layer), backward())
    predicted, in_window = windows[:, 1:].numel(), windows.shape[1] - 1
    statistics = {"tokens": torch.tensor(tokens, dtype=torch.float64)}
    for role, found in sums.items():
        statistics[role] = (found.weight / predicted).to(torch.promote_types(model.dtype, torch.float32))
        statistics[f"{role}.outputs"] = found.outputs.gram() / predicted
        statistics[f"{role}.rows"] = found.squares / (len(windows) * in_window**2)
    return statistics
