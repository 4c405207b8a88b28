"""The conversion of a dense model to low-rank modules, and of these to the form in which they are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from drank.models.description import CheckpointError, describe
from drank.models.families import family_of, module_path, projections_of
from drank.models.groups import Group
from drank.models.guard import put_notice
from drank.models.lowrank import MODULES, LowRankLinear, PivotedLinear, matrix_of
from drank.models.pivoting import pivot

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.pytorch_utils import Conv1D


def convert(model: PreTrainedModel, groups: Sequence[Group], factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Replace the projections of a dense model, in place, by the factors (B, C) of each group; groups marked dense stay as they are.

    B and C have the rank of their group already. They are stored as two factors, whatever the storage of the group, for what follows works
    on these: `store` is the last step. Raises ValueError that names every projection, group and factor that does not fit, before
    anything is changed.
    """
    if problems := [*_misfits(model, groups), *_bad_factors(groups, factors)]:
        raise ValueError("these groups and factors do not fit the model:\n  " + "\n  ".join(problems))
    working = [replace(group, shape=replace(group.shape, storage="factors")) for group in groups]
    for group, replaced in _replace(model, working):
        basis, coefficients = factors[group.shape.name]
        blocks = torch.split(coefficients, group.shape.columns, dim=1)
        for (dense, module), block in zip(replaced, blocks, strict=True):
            module.fill(basis, block, dense)
    put_notice(model)
    model.config.quantization_config = describe(working)


def store(model: PreTrainedModel, groups: Sequence[Group], scales: Mapping[str, Tensor]) -> None:
    """Bring the factors of a model that `convert` made into the storage of their groups, in place: the last step of compressing.

    The product of each group stays what it was but for rounding. `scales` are, by group, the root mean squares of the inputs (d1,), by
    which pivots are chosen (`drank.models.pivoting`); a group without is not scaled.
    """
    for group in groups:
        if group.dense or MODULES[group.shape.storage] is LowRankLinear:
            continue
        paths = [module_path(model.config.model_type, layer, group.shape.role) for layer in group.shape.layers]
        factors = [cast("LowRankLinear", model.get_submodule(path)) for path in paths]
        basis = factors[0].basis.weight.detach().double().mT
        pivots, others = pivot(basis, scales.get(group.shape.name))
        owner: PivotedLinear | None = None
        for path, module in zip(paths, factors, strict=True):
            pivoted = PivotedLinear(module, group.rank, owner)
            pivoted.fill(others, basis[pivots] @ module.coefficients.weight.detach().double().mT, module)
            if owner is None:
                pivoted.place(pivots)
                owner = pivoted
            model.set_submodule(path, pivoted)
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
            module = MODULES[group.shape.storage](dense, group.rank, owner)
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


def whole(model: PreTrainedModel) -> Any:
    """The model itself, or something that holds a base model (`AutoModel`) where a model with a head has it: paths start there.

    Raises CheckpointError for a model with a head that holds its decoder elsewhere than files have it.
    """
    base = family_of(model.config).blocks.partition(".")[0]
    if hasattr(model, base):
        return model
    if model.base_model is not model:
        raise CheckpointError(
            f"a {type(model).__name__} has its decoder under {model.base_model_prefix!r}, not {base!r} as the files of a compressed model; "
            "load it by AutoModelForCausalLM, AutoModel, or AutoModelForSequenceClassification or -TokenClassification"
        )
    holder: Any = nn.Module()
    holder.config = model.config
    holder.add_module(base, model)
    return holder
