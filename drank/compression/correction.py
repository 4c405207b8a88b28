"""Corrections: natural-gradient steps of all factors at once towards what the dense model predicts.

Each step differentiates KL(dense ‖ compressed) over calibration text, without labels, and preconditions the gradient of every linear map
by Kronecker factors (K-FAC, arXiv:1503.05671): the second moment of what the map reads and that of the loss's gradients at what it gives.
For a projection with W ≈ B C those of the two maps follow from its own, so that one pass serves both:

    S_B = G⁻¹ ∇W Cᵀ (C H Cᵀ)⁻¹,    S_C = (Bᵀ G B)⁻¹ Bᵀ ∇W H⁻¹.

Kronecker factors know nothing of how projections and tokens act together, which is what a compressed model suffers from (docs/l-rank.md),
so that they say where to go and not how far: one size for the whole model is searched for by the loss itself.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from safetensors import safe_open

from drank.calibration.backward import logits_of
from drank.calibration.gradients import collect
from drank.calibration.losses import divergence
from drank.calibration.moments import calibrate, open_stream
from drank.calibration.streams import run_block, wide
from drank.compression.directions import Direction, directions_of
from drank.models.families import blocks_of, projections_of
from drank.models.residency import resident
from drank.runtime.files import remove, replacing
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

SEARCH = 16
"""Windows, at most, on which the size of a step is searched; never more than a quarter of all."""

FIRST = 0.025
"""The share of the loss that the first size tried would take away if the loss fell along a straight line."""

DOUBLINGS = 10
"""How often a size is doubled at most."""


def correct(
    model: PreTrainedModel, dense: PreTrainedModel, windows: Tensor, count: int, batch: int = 8, work: str | Path | None = None
) -> list[float]:
    """Take up to `count` steps, in place; gives back the divergence per token on the windows of the search before and after each.

    `windows` are windows of token ids, (windows, tokens). The last of them are kept from the gradients, so that how far to go is told by
    text that did not say where to: no step is taken that does not lower the divergence there, and none after one that was not. One window
    alone serves both. `dense` is the model that was compressed, or a skeleton of it (`drank.models.residency`).

    Gradients and moments lie in the folder `work` in the meantime, with the projections as the last step left them: called again with
    that folder, and a model compressed and refitted like the first, it goes on from there, within a step at the block that was reached.
    Without one it is a temporary folder. Raises NonFiniteError naming the layer.
    """
    with nullcontext(Path(work)) if work else TemporaryDirectory(prefix="drank-correction-") as folder:
        return _correct(model, dense, windows, count, batch, Progress(Path(folder)))


class Progress:
    """What the corrections of one model have come to, in a folder."""

    def __init__(self, folder: Path) -> None:
        """The folder may hold what an interrupted run had reached."""
        self.folder = folder

    def reached(self, model: PreTrainedModel) -> list[float]:
        """The divergences found so far, empty for none; gives the projections the weights that they had then."""
        from safetensors.torch import load_file

        if not (state := self.folder / "state.safetensors").is_file():
            return []
        model.load_state_dict(load_file(state), strict=False)
        with safe_open(state, framework="pt") as file:
            return [float(value) for value in json.loads(file.metadata()["found"])]

    def keep(self, model: PreTrainedModel, found: Sequence[float]) -> None:
        """Note where the model is now, whole or not at all."""
        from safetensors.torch import save_file

        parts = {id(module) for _, _, module in projections_of(model)}
        names = {f"{name}." for name, module in model.named_modules() if id(module) in parts}
        state = {name: value.contiguous() for name, value in model.state_dict().items() if name.startswith(tuple(names))}
        with replacing(self.folder / "state.safetensors") as temporary:
            save_file(state, temporary, metadata={"found": json.dumps(list(found))})


def _correct(model: PreTrainedModel, dense: PreTrainedModel, windows: Tensor, count: int, batch: int, progressed: Progress) -> list[float]:
    kept = min(SEARCH, max(1, len(windows) // 4))
    seen = windows[:-kept] if len(windows) > 1 else windows
    searched, reference = windows[-kept:], leaving_states(dense, windows, batch)
    found = progressed.reached(model) or [divergence_of(model, searched, reference[-kept:], batch)]
    if not math.isfinite(found[0]):
        leaving_states(model, searched, batch)  # raises, naming the layer, where it is a block that is not finite
        raise NonFiniteError(
            f"before the first correction the divergence from the dense model is {found[0]}: what leaves the last block is finite and the "
            "logits are not; run in float32 (`compute: dtype: float32`), and check the output head for damaged weights"
        )
    while len(found) <= count and not (len(found) > 1 and found[-1] == found[-2]):
        number = len(found)
        gradients, moments = (progressed.folder / f"{kind}-{number}" for kind in ("gradients", "moments"))
        facts = {"correction": number}
        if not gradients.is_dir():  # what is there is whole
            collect(model, seen, gradients, facts, batch, reference=reference[: len(seen)])
        if not moments.is_dir():
            calibrate(model, seen, moments, facts, batch)
        directions = directions_of(model, gradients, moments)
        size, lowest = _search(model, directions, searched, reference[-kept:], batch, found[-1])
        log.info("correction %d of %d: KL to the dense model %.4f → %.4f per token, step size %.3g", number, count, found[-1], lowest, size)
        found.append(lowest)
        progressed.keep(model, found)
        for folder in (gradients, moments):
            remove(folder)
    return found


def leaving_states(model: PreTrainedModel, windows: Tensor, batch: int = 8) -> list[Tensor]:
    """The hidden states that leave the last block, one tensor (tokens, d) for each window."""
    stream = open_stream(model, windows, batch)
    for layer in progress(range(len(blocks_of(model))), "dense model, block"):
        with resident(model, layer) as block:
            stream.states = run_block(block, layer, stream)
    return [states.cpu() for chunk in stream.states for states in chunk]


def divergence_of(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], batch: int = 8) -> float:
    """The mean KL per predicted token of what the model predicts from what leaves the last block of another, in nats."""
    import torch

    total, done = 0.0, 0
    with torch.no_grad():
        for ids in windows.split(batch):
            logits = wide(model(input_ids=ids.to(model.device), use_cache=False).logits[:, :-1])
            for one, window in zip(logits, ids, strict=True):
                wanted = logits_of(model, reference[done][None].to(model.device), window[None])[0]
                total, done = total + divergence(wanted, one).double().sum().item(), done + 1
    return total / windows[:, 1:].numel()


def _search(
    model: PreTrainedModel, directions: Sequence[Direction], windows: Tensor, reference: Sequence[Tensor], batch: int, before: float
) -> tuple[float, float]:
    """The size of the step taken and the divergence after it: sizes are doubled while it falls; 0 where already the first is too large."""
    import torch

    slope = math.fsum(one.slope for one in directions)
    if slope <= 0:
        return 0.0, before
    start = [one.parameter.detach().clone() for one in directions]

    def move(size: float) -> None:
        with torch.no_grad():
            for one, values in zip(directions, start, strict=True):
                one.parameter.copy_(values - size * one.step)

    taken, lowest, size = 0.0, before, FIRST * before / slope
    for _ in range(DOUBLINGS):
        move(size)
        reached = divergence_of(model, windows, reference, batch)
        if not reached < lowest:
            break
        taken, lowest, size = size, reached, 2 * size
    move(taken)
    return taken, lowest
