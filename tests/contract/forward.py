"""What models compute and what their projections read, in one ordinary forward pass."""

from __future__ import annotations

from collections import defaultdict

import torch
from transformers import PreTrainedModel

from drank.models.families import projections_of


def logits_of(model: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    """Logits without gradients or cache."""
    with torch.no_grad():
        return model(tokens, use_cache=False).logits


def inputs_of(model: PreTrainedModel, windows: torch.Tensor) -> dict[tuple[int, str], torch.Tensor]:
    """What every projection reads, (tokens, d1) in float64 by layer and role, in one ordinary forward pass over all windows."""
    seen: dict[tuple[int, str], list[torch.Tensor]] = defaultdict(list)
    handles = []
    for layer, projection, module in projections_of(model):

        def hook(_module, args, _output, key=(layer, projection.role)):
            seen[key].append(args[0].detach().double().flatten(0, -2))

        handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return {key: torch.cat(parts) for key, parts in seen.items()}
