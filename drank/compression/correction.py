"""Corrections: passes over the calibration text that take all factors down KL(dense ‖ compressed) at once, without labels.

docs/l-rank.md says what a pass gives.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from drank.calibration.losses import divergence
from drank.calibration.moments import open_stream
from drank.calibration.streams import advance
from drank.compression.gradient import at_once
from drank.compression.passes import AGAIN, REMEDY, SHORTER, START, Passes
from drank.models.families import blocks_of, projections_of
from drank.models.forward import logits_of, wide
from drank.models.lowrank import LowRankLinear
from drank.models.residency import resident
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

MEASURED = 16
"""Windows, at most, on which the divergence is measured before and after each pass."""


def correct(
    model: PreTrainedModel, reference: Sequence[Tensor], windows: Tensor, count: int, batch: int = 8, work: str | Path | None = None
) -> list[float]:
    """Take `count` passes over the windows, in place; gives back the divergence per token on the last of them before and after each.

    `windows` are windows of token ids, (windows, tokens), and `reference` is what of them leaves the last block of the model that was
    compressed (`leaving_states`, or what a refit has come to). Every factor moves, and every projection that is stored dense. Passes that
    did not lower the divergence are taken again with shorter steps; a model that is none the better for them is left as it was. Weights
    of 16 bits are moved by copies in float32.

    What each pass has come to is kept in the folder `work`, and so are the weights before the first: called again with that folder, and a
    model compressed like the first, it goes on there (`begun`). Without one it is a temporary folder. Raises NonFiniteError naming the
    layer, or the step.
    """
    if not all(map(finite, reference)):
        raise NonFiniteError(f"what leaves the last block of the dense model is not finite; {REMEDY}, and check it for damaged weights")
    measured, wanted = windows[-MEASURED:], reference[-MEASURED:]
    with nullcontext(Path(work)) if work else TemporaryDirectory(prefix="drank-correction-") as folder, moving(model) as parameters:
        passes = Passes(parameters, Path(folder))
        passes.begin()
        found = passes.found
        if not found:
            found.append(_divergence_before(model, measured, wanted, batch))
        if count and not passes.rate:
            passes.choose_rate(model, windows, reference, batch, lambda: divergence_of(model, measured, wanted, batch))
            if not passes.rate:
                log.warning("no step of a correction lowers the divergence from the dense model (%.3g), however short: left out", found[0])
                return [found[0], found[0]]
        while passes.done < count or (count and not found[-1] < found[0]):
            if passes.done == count or not math.isfinite(found[-1]):
                told = "corrections did not lower the divergence from the dense model (%.3g → %.3g): %s"
                if passes.retaken == AGAIN:
                    log.warning(told, found[0], found[-1], "left out")
                    passes.restore(passes.start)
                    found.append(found[0])
                    break
                log.warning(told, found[0], found[-1], f"taken again, with steps {SHORTER} times as short")
                passes.begin_anew()
            try:
                passes.take(model, windows, reference, count, batch)
                found.append(divergence_of(model, measured, wanted, batch))
            except NonFiniteError as error:  # steps that are too long lead there too
                if passes.retaken == AGAIN:
                    raise
                log.warning("%s", error)
                found.append(math.inf)
            log.info("correction %d of %d: KL to the dense model %.4f → %.4f per token", passes.done, count, *found[-2:])
            passes.keep()
    return found


def _divergence_before(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], batch: int) -> float:
    """The divergence of a model that no pass has moved; raises NonFiniteError, naming the layer, where it is no number."""
    found = divergence_of(model, windows, reference, batch)
    if not math.isfinite(found):
        leaving_states(model, windows, batch)  # raises where it is a block that is not finite
        raise NonFiniteError(
            f"before the first correction the divergence from the dense model is {found}: what leaves the last block is finite and "
            f"the logits are not; {REMEDY}, and check the output head for damaged weights"
        )
    return found


def begun(work: str | Path) -> bool:
    """Whether corrections in this folder hold the weights that they start from, so that nothing before them has to be done again."""
    return (Path(work) / START).is_file()


@contextmanager
def moving(model: PreTrainedModel) -> Iterator[list[nn.Parameter]]:
    """The weights of a model that corrections move, of which alone gradients are taken while the context lasts: each factor once."""
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    modules = [module for _, _, module in projections_of(model)]
    parts = [part for one in modules for part in ((one.basis, one.coefficients) if isinstance(one, LowRankLinear) else (one,))]
    parameters: list[Any] = list({id(part.weight): part.weight for part in parts}.values())
    try:
        model.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield parameters
    finally:
        for parameter, before in wanted.items():
            parameter.requires_grad_(before)
            parameter.grad = None


def leaving_states(model: PreTrainedModel, windows: Tensor, batch: int = 8) -> list[Tensor]:
    """The hidden states that leave the last block, one tensor (tokens, d) for each window."""
    stream = open_stream(model, windows, batch)
    for layer in progress(range(len(blocks_of(model))), "dense model, block"):
        with resident(model, layer) as block:
            advance(block, layer, stream)
    return [states.cpu() for chunk in stream.states for states in chunk]


def divergence_of(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], batch: int = 8) -> float:
    """The mean KL per predicted token of what the model predicts from what leaves the last block of another, in nats."""
    import torch

    found: list[Tensor] = []  # a device is waited for once
    with torch.no_grad():
        for ids in windows.split(at_once(model, windows, batch)):
            logits = wide(model(input_ids=ids.to(model.device), use_cache=False).logits[:, :-1])
            for one, window in zip(logits, ids, strict=True):
                wanted = logits_of(model, reference[len(found)][None].to(model.device), window[None])[0]
                found.append(divergence(wanted, one).double().sum())
    return torch.stack(found).sum().item() / windows[:, 1:].numel()
