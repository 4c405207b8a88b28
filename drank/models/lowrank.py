"""Low-rank linear maps `x W ≈ (x B) C` whose basis B is shared by the layers of a group, and the conversion of a model to them.

B is d1 × k, C = [C_1 … C_n] is k × n·d2, one block per layer (Basis Sharing, arXiv:2410.03765; D-Rank, arXiv:2509.25622, section 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from drank.models.description import CheckpointError, describe
from drank.models.families import family_of, module_path, projections_of
from drank.models.groups import Group
from drank.models.guard import guard, put_notice

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.pytorch_utils import Conv1D


def matrix_of(dense: nn.Module) -> Tensor:
    """W of a dense projection, `nn.Linear` or GPT-2's Conv1D: a view (d1, d2) of its weight, with y = x W."""
    weight = cast("Tensor", dense.weight)
    return weight.mT if isinstance(dense, nn.Linear) else weight


class LowRankLinear(nn.Module):
    """A linear map stored as two: `coefficients(basis(x))`, both plain `nn.Linear`, so that LoRA can target either.

    The first layer of a group owns the basis. The others read it from their owner, which they hold unregistered: the state dict has
    the basis once, and it stays shared whatever is done to the model (`to`, `deepcopy`, loading, or an adapter put in its place).
    """

    basis: nn.Linear
    coefficients: nn.Linear
    weight: Tensor

    def __init__(self, dense: nn.Linear | Conv1D, rank: int, owner: LowRankLinear | None = None) -> None:
        """Stand in for `dense`, on the meta device and with its dtype; `fill` or the loading of a state dict gives the weights."""
        super().__init__()
        self.in_features, self.out_features = matrix_of(dense).shape
        self.rank = rank
        self._owner: tuple[LowRankLinear, ...] = (
            () if owner is None else (owner,)
        )  # a tuple, for nn.Module registers every module that is an attribute
        dtype = dense.weight.dtype
        if owner is None:
            self.basis = nn.Linear(self.in_features, rank, bias=False, device="meta", dtype=dtype)
        self.coefficients = nn.Linear(rank, self.out_features, bias=dense.bias is not None, device="meta", dtype=dtype)
        self.register_buffer("weight", guard(dtype, "meta"))
        self.train(dense.training)

    def __getattr__(self, name: str) -> Any:
        """The owner's basis where the layer owns none, else what nn.Module finds."""
        if name == "basis" and self.__dict__.get("_owner"):
            return self._owner[0].basis
        return super().__getattr__(name)

    @property
    def owns_basis(self) -> bool:
        """Whether the basis is stored with this layer."""
        return not self._owner

    @property
    def bias(self) -> Tensor | None:
        """The bias of the dense map, which the coefficients hold."""
        return self.coefficients.bias

    def fill(self, basis: Tensor, coefficients: Tensor, dense: nn.Linear | Conv1D) -> None:
        """Set the weights from B (d1 × k), this layer's block of C (k × d2) and the bias of `dense`, with its dtype and device."""
        dtype, device = dense.weight.dtype, dense.weight.device
        if self.owns_basis:
            self.basis.weight = _parameter(basis.T, dtype, device)
        self.coefficients.weight = _parameter(coefficients.T, dtype, device)
        self.coefficients.bias = dense.bias
        self.weight = guard(dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        """`x B C + bias`: (…, d1) to (…, d2)."""
        y: Tensor = self.coefficients(self.basis(x))
        return y

    def extra_repr(self) -> str:
        """Sizes, and whether the basis is another layer's."""
        borrowed = "" if self.owns_basis else ", basis borrowed"
        return f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}{borrowed}"


def convert(model: PreTrainedModel, groups: Sequence[Group], factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Replace the projections of a dense model, in place, by the factors (B, C) of each group; groups marked dense stay as they are.

    B and C have the rank of their group already. Raises ValueError that names every projection, group and factor that does not fit, before
    anything is changed.
    """
    if problems := [*_misfits(model, groups), *_bad_factors(groups, factors)]:
        raise ValueError("these groups and factors do not fit the model:\n  " + "\n  ".join(problems))
    for group, replaced in _replace(model, groups):
        basis, coefficients = factors[group.shape.name]
        blocks = torch.split(coefficients, group.shape.columns, dim=1)
        for (dense, module), block in zip(replaced, blocks, strict=True):
            module.fill(basis, block, dense)
    put_notice(model)
    model.config.quantization_config = describe(groups)


def skeleton(model: PreTrainedModel, groups: Sequence[Group]) -> None:
    """Replace the projections of a dense model, in place, by low-rank modules on the meta device, to load a state dict into.

    Raises CheckpointError that names every projection that does not fit the groups.
    """
    if problems := list(_misfits(model, groups)):
        raise CheckpointError("the groups in config.json do not fit this model; rerun `compress`:\n  " + "\n  ".join(problems))
    for _ in _replace(model, groups):
        pass
    put_notice(model)


def _parameter(values: Tensor, dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    """A parameter with its own contiguous memory."""
    return nn.Parameter(values.detach().to(dtype=dtype, device=device, copy=True).contiguous())


def _replace(model: PreTrainedModel, groups: Sequence[Group]) -> Iterator[tuple[Group, list[tuple[nn.Linear | Conv1D, LowRankLinear]]]]:
    """Put empty low-rank modules in the place of dense ones, group by group; yields each group with the (dense, new) pairs."""
    for group in groups:
        if group.dense:
            continue
        owner: LowRankLinear | None = None
        replaced = []
        for layer in group.shape.layers:
            path = module_path(model.config.model_type, layer, group.shape.role)
            dense = cast("nn.Linear | Conv1D", model.get_submodule(path))
            module = LowRankLinear(dense, group.rank, owner)
            owner = owner or module
            model.set_submodule(path, module)
            replaced.append((dense, module))
        yield group, replaced


def _misfits(model: PreTrainedModel, groups: Sequence[Group]) -> Iterator[str]:
    """What keeps the groups from replacing the projections of a dense model, a line each."""
    roles = family_of(model.config).roles
    modules = {(projection.role, layer): module for layer, projection, module in projections_of(model)}
    depth = len(modules) // len(roles)
    seen = Counter((group.shape.role, layer) for group in groups for layer in group.shape.layers)
    from transformers.pytorch_utils import Conv1D  # a second that steps without a model need not wait for

    yield from (f"{role} of layer {layer} is in {count} groups" for (role, layer), count in seen.items() if count > 1)
    for group in groups:
        shape = group.shape
        if not group.dense and not 1 <= group.rank <= shape.max_rank:
            yield f"{shape.name}: rank {group.rank} is outside 1 … {shape.max_rank}"
        if shape.role not in roles:
            yield f"{shape.name}: a {model.config.model_type} model has no role {shape.role!r}, only {', '.join(roles)}"
            continue
        for layer in shape.layers:
            if not 0 <= layer < depth:
                yield f"{shape.name}: layer {layer} is outside 0 … {depth - 1}"
                continue
            path = module_path(model.config.model_type, layer, shape.role)
            module = modules[shape.role, layer]
            if not isinstance(module, nn.Linear | Conv1D):
                yield f"{shape.name}: {path} is a {type(module).__name__}; only dense nn.Linear and Conv1D projections can be compressed"
            elif (sides := tuple(matrix_of(module).shape)) != (shape.rows, shape.columns):
                yield f"{shape.name}: {path} is {sides[0]} × {sides[1]}, the group says {shape.rows} × {shape.columns}"


def _bad_factors(groups: Sequence[Group], factors: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[str]:
    """What keeps the factors from being those of the groups, a line each."""
    expected = {group.shape.name: group for group in groups if not group.dense}
    yield from (f"{name}: factors for a group that is not factorised" for name in factors if name not in expected)
    for name, group in expected.items():
        if name not in factors:
            yield f"{name}: no factors"
            continue
        shapes = {"basis": (group.shape.rows, group.rank), "coefficients": (group.rank, group.shape.width)}
        for (kind, shape), tensor in zip(shapes.items(), factors[name], strict=True):
            if tuple(tensor.shape) != shape:
                yield f"{name}: {kind} of shape {tuple(tensor.shape)}, its group needs {shape}"
            elif not torch.isfinite(tensor).all():
                yield f"{name}: {kind} with values that are not finite"
