"""Mixtures of experts with a plain `nn.Linear` for each projection of each expert, in place of transformers' fused 3-D parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from drank.models.families import FAMILIES, UnknownFamilyError, blocks_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.core_model_loading import WeightRenaming

_PATH = "mlp.experts"
_LAYOUT = {"is_transposed": False, "is_concatenated": True, "has_bias": False, "has_gate": True}
"""How transformers must have fused the experts for the views below to be their matrices."""


class Expert(nn.Module):
    """One gated feed-forward network."""

    def __init__(self, gate: Tensor, up: Tensor, down: Tensor, activation: nn.Module) -> None:
        """Take the weights, each (d2, d1), as they are: views stay views."""
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = _linear(gate), _linear(up), _linear(down)
        self.act_fn = activation

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, d) to (tokens, d)."""
        y: Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return y


class Experts(nn.ModuleList):
    """The experts of one block, by number; each runs on the tokens that the router gives it, and one without tokens does not run."""

    def __init__(self, fused: Any) -> None:
        """Stand in for a fused experts module of transformers, with views of its parameters."""
        gates, ups = fused.gate_up_proj.detach().chunk(2, dim=1)
        super().__init__(Expert(*matrices, fused.act_fn) for matrices in zip(gates, ups, fused.down_proj.detach(), strict=True))
        self.train(fused.training)

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Sum over the chosen experts of weight × output, (tokens, d); index and weights are (tokens, experts per token)."""
        result = torch.zeros_like(hidden_states)
        for expert in top_k_index.unique().tolist():
            tokens, choices = torch.where(top_k_index == expert)
            output = self[expert](hidden_states[tokens]) * top_k_weights[tokens, choices, None]
            result.index_add_(0, tokens, output.to(result.dtype))
        return result


def _linear(weight: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta", dtype=weight.dtype)
    linear.weight = nn.Parameter(weight)
    return linear


def unfuse(model: PreTrainedModel) -> PreTrainedModel:
    """The model itself, with plain projections for each expert, as views of the fused weights; other models are left as they are.

    Raises UnknownFamilyError where the experts are fused in a way that drank does not know.
    """
    model_type = model.config.model_type
    if model_type not in FAMILIES or not FAMILIES[model_type].mixture:
        return model
    for layer, block in enumerate(blocks_of(model)):
        fused: Any = block.get_submodule(_PATH)
        if isinstance(fused, Experts):
            continue
        if wrong := [name for name, value in _LAYOUT.items() if getattr(fused, name, None) != value]:
            raise UnknownFamilyError(
                f"layer {layer}: the {type(fused).__name__} of this {model_type} model must have "
                f"{', '.join(f'{name} = {_LAYOUT[name]}' for name in wrong)}; teach drank.models.experts its layout"
            )
        block.set_submodule(_PATH, cast("nn.Module", Experts(fused)))
    # What save_pretrained reverts: by transformers' own rules it would leave the projections of Mixtral's experts under names that no
    # loader knows.
    model._weight_conversions = renamings(model_type)
    return model


def renamings(model_type: str) -> list[WeightRenaming]:
    """What turns the names that the files of a family have into those of its modules, for transformers to load and save by."""
    from transformers.core_model_loading import WeightRenaming  # a second that steps without a model need not wait for

    return [WeightRenaming(f"{stored}.", f"{own}.") for stored, own in FAMILIES[model_type].renamed.items()]
