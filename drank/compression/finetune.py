"""LoRA fine-tuning of the factors of a compressed model, merged into them so that its size, plan and form stay what they were.

LoRA (arXiv:2106.09685) with the settings of D-Rank (arXiv:2509.25622): rank 8, α 32, learning rate 1e-4, two epochs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.models.lowrank import LowRankLinear
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

OPTIONS: dict[str, Any] = {"rank": 8, "alpha": 32, "learning_rate": 1e-4, "epochs": 2, "batch": 8, "seed": 13, "dropout": 0.0}
"""The options of `finetune` with the paper's values; `batch` is the windows that one step reads, `dropout` that of the adapters."""

WARM_UP = 0.05
"""Share of the steps over which the learning rate rises."""

LARGEST_NORM = 1.0
"""The norm to which a step's gradient is clipped."""

TOKENS_AT_ONCE = 2048
"""Tokens whose activations are held at a time; the gradients of a batch with more are summed over several passes."""


def finetune(model: PreTrainedModel, windows: Tensor, options: Mapping[str, Any]) -> PreTrainedModel:
    """The same model with its factors trained on windows of token ids, (windows, tokens), and ready for `drank.models.checkpoint.save`.

    Low-rank adapters on every basis, shared ones once, and on all coefficients are trained by AdamW without weight decay and then merged;
    dense projections and everything else stay. The learning rate rises linearly over the first steps and falls linearly to zero. The
    options that `options` leaves out have the values of `OPTIONS`. Raises ValueError for a model without low-rank projections and
    NonFiniteError, naming the step, where a loss or its gradient is not finite.
    """
    import peft
    import torch

    settings = {**OPTIONS, **options}
    names = factor_names(model)
    if not names:
        raise ValueError("this model has no low-rank projections to fine-tune; convert it by a plan first, or leave `finetune` out")
    adapters = peft.LoraConfig(r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=settings["dropout"], target_modules=names)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(settings["seed"])
        adapted = peft.get_peft_model(model, adapters)
        _train(adapted, windows, settings)
    merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    return merged.requires_grad_(True).eval()


def factor_names(model: nn.Module) -> list[str]:
    """The dotted names of the linear maps that hold the factors: every basis under its owner's name, and all coefficients."""
    low_rank = [(name, module) for name, module in model.named_modules() if isinstance(module, LowRankLinear)]
    return [
        f"{name}.{part}" for name, module in low_rank for part in (("basis", "coefficients") if module.owns_basis else ("coefficients",))
    ]


def learning_rate(step: int, steps: int) -> float:
    """The share of the full learning rate at one of `steps` steps, counted from 0: linearly up to 1, then linearly down towards 0."""
    rising = max(1, round(WARM_UP * steps))
    return (step + 1) / rising if step < rising else (steps - step) / (steps - rising + 1)


def _train(model: nn.Module, windows: Tensor, settings: Mapping[str, Any]) -> None:
    """Train the parameters of a model that want gradients."""
    import torch

    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings["learning_rate"], weight_decay=0.0)
    order = torch.Generator().manual_seed(settings["seed"])
    epochs = [torch.randperm(len(windows), generator=order).split(settings["batch"]) for _ in range(settings["epochs"])]
    batches = [(epoch, chosen) for epoch, parts in enumerate(epochs, start=1) for chosen in parts]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, len(batches)))
    losses: list[float] = []
    model.train()
    for step, (epoch, chosen) in enumerate(progress(batches, "fine-tuning, step"), start=1):
        losses.append(_backward(model, windows[chosen]))
        norm = torch.nn.utils.clip_grad_norm_(weights, LARGEST_NORM).item()
        if not (math.isfinite(losses[-1]) and math.isfinite(norm)):
            raise NonFiniteError(
                f"fine-tuning, step {step} of {len(batches)}: the loss is {losses[-1]} and its gradient's norm {norm}; "
                "lower `learning_rate`, or run in float32 (`compute: dtype: float32`)"
            )
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % len(epochs[0]) == 0:
            mean = math.fsum(losses) / len(losses)
            log.info("fine-tuning, epoch %d of %d: mean loss %.4f per token, the last %.4f", epoch, len(epochs), mean, losses[-1])
            losses.clear()


def _backward(model: nn.Module, windows: Tensor) -> float:
    """The mean loss per token of windows, in nats and float32, after its gradients were left with the parameters, which have none before.

    What is differentiated is the sum: of the mean over thousands of tokens the gradient by a single one is a zero in float16.
    """
    import torch

    predicted, total = windows[:, 1:].numel(), 0.0
    for chunk in windows.split(max(1, TOKENS_AT_ONCE // windows.shape[1])):
        ids = chunk.to(next(model.parameters()).device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
        loss.backward()
        total += loss.item() / predicted
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= predicted  # in float32, as adapters are
    return total
