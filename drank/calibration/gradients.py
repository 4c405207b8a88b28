"""What the loss says of every projection: the gradient of its weight, the second moment of the gradients at its output, Fisher rows.

One forward pass leaves the hidden states that enter each block on disk; one backward pass, from the last block to the first, runs each
block again and takes the gradient of the loss through it, so that only one block and its activations need be in memory.

With x what a projection reads, y = x W what it gives without bias, and g = ∂(Σ NLL)/∂y at one token, where the sum is over all predicted
tokens, ∂(Σ NLL)/∂W = Σ xᵀg. FWSVD (arXiv:2207.00112) weights the rows of W by their squared gradients, L-Rank the output side by the
second moment of g, GFWSVD (arXiv:2505.17974) both sides by what fits ∂loss/∂W of single windows (`fisher_fit`); ZS-SVD
(arXiv:2602.02848) ranks components by ∂loss/∂W.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.backward import ProjectionSums, loss_gradient, objective_of, through_block
from drank.calibration.fisher_fit import WindowGradients
from drank.calibration.layer_files import SEEN, identity, layers_in, read_layer, write_facts, write_layer
from drank.calibration.losses import Objective
from drank.calibration.mean_loss import COUNTED, KEPT, facts_of, gradients_of
from drank.calibration.parts import part_facts
from drank.calibration.passes import LIKELIEST, WINDOWS
from drank.calibration.streams import Arguments, StoredStates, Stream, arguments_of, embedded, sizes_of, states_at, step, store_states
from drank.calibration.sums import tokens_before
from drank.models.families import family_of
from drank.models.residency import resident
from drank.runtime.files import read_json, remove, resuming, write_json
from drank.runtime.log import progress
from drank.runtime.shares import WHOLE, Share

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
    share: Share | None = None,
    outputs: bool = True,
) -> None:
    """Write what the next-token loss over windows of token ids (windows, tokens) says of every projection, as a directory.

    `labels` names the pass: those of the `text`; `sampled` ones, drawn by `seed` from what the model predicts; `likeliest`, the curvature
    over the tokens that it holds likeliest (`losses`); `windows`, those of the text, and the factors that fit single windows.

    `layer-XXX.safetensors` holds what `gradients_of` makes of the sums over all windows; `facts.json` holds `facts` and `loss`, the loss
    per token. With a `share` they hold the sums over the windows of that share, for `parts.gather`; windows keep their numbers.

    Without `outputs` the second moments at the outputs are left out, which few methods read (`Method.reads_outputs`).

    An interrupted run is gone on with as `moments.calibrate` does. Raises ValueError for windows that predict nothing and for other
    labels, NonFiniteError where hidden states, the loss or gradients are not finite.
    """
    if windows.shape[1] < 2:
        raise ValueError("windows of one token predict nothing; set `length` to 2 or more")
    if share and labels == WINDOWS:
        raise ValueError("factors that fit the gradients of single windows are no sums over shares of them; leave `share` out")
    objective, decides = objective_of(labels, seed), [key, labels, seed, outputs]
    arguments, own = arguments_of(model, windows[:1]), (share or WHOLE).batches(len(windows), batch)
    with resuming(directory, identity(model, windows, batch, facts, decides, share)) as partial:
        work = partial / "work"
        work.mkdir(exist_ok=True)
        left = len(arguments) - layers_in(partial)
        if left == len(arguments) and not gradients_at(work, left).exists():

            def tell(loss: float) -> None:
                sums = {"loss": loss, "predicted": windows[own, 1:].numel()}
                told = part_facts(share, model, facts, decides, sums) if share else facts_of(facts, sums)
                write_json(partial / "facts.json", told)

            _forward(model, windows, own, arguments, work, batch, objective, tell)
        for layer in progress(range(left - 1, -1, -1), "gradients, block"):
            found = _sums(model, windows[own], layer, arguments[layer], work, own.start * windows.shape[1], batch, labels, outputs)
            write_layer(partial, layer, found if share else gradients_of(found))
            remove(states_at(work, layer))
            remove(gradients_at(work, layer + 1))
        remove(work)
        write_facts(partial, read_json(partial / "facts.json"), windows[own].numel())


def read_gradients(directory: str | Path, layer: int, name: str) -> Tensor:
    """A statistic of one layer: `q` the gradient of the weight (d1, d2), `q.outputs` (d2, d2) or `q.rows` (d1,), as `collect` says."""
    return read_layer(directory, layer, name)


def gradients_at(work: Path, layer: int) -> Path:
    """The folder of the gradients at the hidden states that enter a layer, in the folder of a run under way."""
    return work / f"gradients-{layer:03d}"


def _forward(
    model: PreTrainedModel,
    windows: Tensor,
    own: slice,
    arguments: list[Arguments],
    work: Path,
    batch: int,
    objective: Objective,
    tell: Callable[[float], None],
) -> None:
    """Write the hidden states of a share of the windows at every block, and the gradients at those that leave the last."""
    _store_states(model, windows[own], arguments, work, batch)
    leaving = StoredStates(states_at(work, len(arguments)), model.device, sizes_of(windows[own], batch))
    store_states(gradients_at(work, len(arguments)), _loss_gradients(model, windows, own.start, leaving, objective, tell))


def _store_states(model: PreTrainedModel, windows: Tensor, arguments: list[Arguments], work: Path, batch: int) -> None:
    """Write the hidden states that enter each block and those that leave the last; what an earlier run wrote stays."""
    if not states_at(work, 0).exists():
        store_states(states_at(work, 0), embedded(model, windows, batch))
    for layer in progress(range(len(arguments)), "gradients, forward, block"):
        if not states_at(work, layer + 1).exists():
            stream = Stream(StoredStates(states_at(work, layer), model.device, sizes_of(windows, batch)), arguments)
            with resident(model, layer) as block:
                store_states(states_at(work, layer + 1), (leaving for _, leaving in step(block, layer, stream)))


def _loss_gradients(
    model: PreTrainedModel, windows: Tensor, first: int, leaving: StoredStates, objective: Objective, tell: Callable[[float], None]
) -> Iterator[Tensor]:
    """The gradients at the hidden states that leave the last block, batch by batch; after the last, `tell` gets the summed loss.

    Of all windows, those from `first` on are read.
    """
    import torch

    losses: list[float] = []
    for states in leaving:
        gradients = []
        for window in states.split(1):  # the logits of one window are large enough
            number = first + len(losses)
            loss, gradient = loss_gradient(model, window, windows[number], number, objective)
            losses.append(loss)
            gradients.append(gradient)
        yield torch.cat(gradients)
    tell(math.fsum(losses))


def _sums(
    model: PreTrainedModel,
    windows: Tensor,
    layer: int,
    arguments: Arguments,
    work: Path,
    before: int,
    batch: int,
    labels: str,
    outputs: bool,
) -> dict[str, Tensor]:
    """The sums of one block over windows that `before` tokens precede; the gradients at the states that enter it are written.

    Of the pass over single windows they are the factors that fit these, of the one over the likeliest tokens the outputs' moments alone.
    """
    import torch

    family = family_of(model.config)
    at_once = 1 if family.mixture else len(windows)
    sizes, tokens = sizes_of(windows, batch), 0
    kept = WindowGradients(work / "windows") if labels == WINDOWS else None
    asked = {"weights": labels != LIKELIEST, "outputs": labels == LIKELIEST or (outputs and kept is None)}
    entering, upstream = (StoredStates(at, model.device, sizes) for at in (states_at(work, layer), gradients_at(work, layer + 1)))
    with resident(model, layer) as block:
        sums = {}
        for p in family.projections:
            keep = kept.keeper(p.role) if kept else None
            sums[p.role] = ProjectionSums(block.get_submodule(p.path), model.device, tokens_before(p, before), keep, **asked)

        def backward() -> Iterator[Tensor]:
            nonlocal tokens
            for pair in zip(entering, upstream, strict=True):
                tokens += pair[0].shape[:-1].numel()
                parts = zip(*(states.split(at_once) for states in pair), strict=True)
                yield torch.cat([through_block(block, layer, family, arguments, x, g, sums) for x, g in parts])

        store_states(gradients_at(work, layer), backward())
    statistics = {SEEN: torch.tensor(tokens, dtype=torch.float64)}
    zero = torch.zeros((), dtype=torch.promote_types(model.dtype, torch.float32))
    if kept:  # all that is asked of such a pass
        like = {role: found.named(role)[role].to(zero.dtype) for role, found in sums.items()}
        statistics |= kept.factors(like, 1 / (windows.shape[1] - 1), len(windows))
    else:
        for role, found in sums.items():
            statistics |= found.named(role)
    return statistics | {COUNTED: zero.double() + len(windows), KEPT: zero}
