"""Put what runs a compressed model in the place of its low-rank modules, block by block, so that no more than a block is held twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from drank.models.conversion import whole
from drank.models.execution.product import Product, laid_out
from drank.models.execution.projections import BASES, Bases, PivotedBases, Projection
from drank.models.families import Projection as Place
from drank.models.families import module_path, projections_of
from drank.models.lowrank import LowRankLinear, PivotedLinear, matrix_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Member(NamedTuple):
    """A projection of a block: its dotted name, where its family has it, its module, and the name of the one that owns its basis."""

    name: str
    place: Place
    module: nn.Module
    owner: str


@dataclass
class Fusing:
    """What was done, by dotted names: projections whose bases run `joined`, those that run `dense`, those whose inputs are `folded`."""

    joined: list[tuple[str, ...]] = field(default_factory=list)
    dense: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, model: PreTrainedModel) -> Fusing:
        """Fuse a model in place; one without low-rank modules stays as it is."""
        done = cls()
        if not any(isinstance(module, LowRankLinear) for module in model.modules()):
            return done
        model = whole(model)
        blocks, readers = _members(model)
        known: dict[tuple[str, ...], Bases] = {}
        while blocks:
            block = blocks.pop(0)  # so that nothing holds its modules once their place is taken
            places = [(member.name, member.place) for member in block]
            together = _together(block, readers)
            block.clear()
            while together:
                done._run(model, together.pop(), known)
            done._fold(model, places)
        return done

    def _run(self, model: PreTrainedModel, together: list[Member], known: dict[tuple[str, ...], Bases]) -> None:
        """Let projections that read one input, and share their bases with the same layers, run from one `Bases`."""
        modules = [member.module for member in together if isinstance(member.module, LowRankLinear)]
        names = [member.name for member in together]
        if _costs_more(modules[0]):
            for name, module in zip(names, modules, strict=True):
                model.set_submodule(name, _matrix(module))
            self.dense += names
            return
        owners = tuple(member.owner for member in together)
        bases = known[owners] if owners in known else BASES[type(modules[0])](modules)
        known[owners] = bases
        for place, (name, module) in enumerate(zip(names, modules, strict=True)):
            model.set_submodule(name, Projection(module, bases, place))
        if len(names) > 1:
            self.joined.append(tuple(names))

    def _fold(self, model: PreTrainedModel, block: Iterable[tuple[str, Place]]) -> None:
        """Let what makes the input of a pivoted projection give it in the order of the pivots, where nothing else reads it."""
        made = defaultdict(list)
        for name, place in block:
            made[place.makes].append(name)
        for name, place in block:
            module = model.get_submodule(name)
            if isinstance(module, Projection) and isinstance(module.bases, PivotedBases) and made[place.reads]:
                order: Tensor = module.bases.order
                for maker in made[place.reads]:
                    _reorder(model.get_submodule(maker), order)
                module.bases.ordered = True
                self.folded.append(name)


def _members(model: PreTrainedModel) -> tuple[list[list[Member]], dict[str, tuple[int, ...]]]:
    """The projections of each block, and by the name of each owner of a basis the layers that read it."""
    found = [
        (layer, module_path(model.config.model_type, layer, place.role), place, module) for layer, place, module in projections_of(model)
    ]
    names = {id(module): name for _, name, _, module in found}
    readers: dict[str, tuple[int, ...]] = {}
    blocks: list[list[Member]] = []
    for layer, block in groupby(found, key=lambda one: one[0]):
        blocks.append([])
        for _, name, place, module in block:
            owner = names[id(module.owner)] if isinstance(module, LowRankLinear) else name
            readers[owner] = (*readers.get(owner, ()), layer)
            blocks[-1].append(Member(name, place, module, owner))
    return blocks, readers


def _together(block: Iterable[Member], readers: Mapping[str, tuple[int, ...]]) -> list[list[Member]]:
    """The low-rank projections of a block, those together that read one input in one form, and whose bases the same layers read."""
    found = defaultdict(list)
    for member in block:
        if isinstance(member.module, LowRankLinear):
            found[member.place.reads, type(member.module), _costs_more(member.module), readers[member.owner]].append(member)
    return list(found.values())


def _costs_more(module: LowRankLinear) -> bool:
    """Whether what is stored has at least as many numbers to multiply and to read, for each token, as the matrix that it makes."""
    rows, columns, rank = module.in_features, module.out_features, module.rank
    saved = rank if isinstance(module, PivotedLinear) else 0
    return rank * (rows + columns - saved) >= rows * columns


def _matrix(module: LowRankLinear) -> Product:
    """The product of what is stored, rounded once, as a matrix that is run."""
    dtype = module.coefficients.weight.dtype
    wide = torch.promote_types(dtype, torch.float32)
    weight = (module.coefficients.weight.to(wide) @ module.basis.weight.to(wide)).to(dtype)
    if isinstance(module, PivotedLinear):
        weight = torch.cat([module.coefficients.weight, weight], dim=1)[:, module.order.argsort()]
    return Product.of(weight, module.bias)


def _reorder(maker: nn.Module, order: Tensor) -> None:
    """Let a projection give its outputs in another order."""
    last: Any = maker.coefficients if isinstance(maker, Projection) else maker
    outputs = matrix_of(last).mT.detach()  # (d2, d1), a view
    weight = laid_out(outputs[order].contiguous()) if isinstance(last, nn.Linear) else outputs[order].mT.contiguous()
    last.weight = nn.Parameter(weight, requires_grad=False)
    if last.bias is not None:
        last.bias = nn.Parameter(last.bias.detach()[order], requires_grad=False)
