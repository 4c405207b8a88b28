"""Low-rank layers in vLLM: the products of their factors, by vLLM's own ways of multiplying, so that they are packed and compiled as any.

`y = (x B) C`, or `(x_I + x_Ī N) R` in pivoted form (`drank.models.lowrank`). Bases of projections that vLLM joins are one product where
every layer that reads one of them reads all. With the outputs of a layer shared out to processes each has all of the basis and its share of
the coefficients; with the inputs shared out each has its share of the basis, and what they compute adds up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from vllm.model_executor.layers.linear import LinearBase, LinearMethodBase, UnquantizedLinearMethod

from drank.models.serving.bases import Basis, Joined
from drank.models.serving.built import Built
from drank.models.serving.parts import Held, Part, index_of
from drank.models.serving.places import Place


class LowRankMethod(LinearMethodBase):
    """How vLLM loads and runs a layer some of whose projections are low-rank."""

    def __init__(self, built: Built, prefix: str, names: list[str], places: list[Place | None]) -> None:
        """A layer of vLLM by its path, made of projections of these names in these places."""
        self.built, self.prefix, self.names, self.places = built, prefix, names, places
        self.plain = UnquantizedLinearMethod()

    def create_weights(
        self,
        layer: LinearBase,
        input_size_per_partition: int,
        output_partition_sizes: list[int],
        input_size: int,
        output_size: int,
        params_dtype: torch.dtype,
        **attributes: Any,
    ) -> None:
        """Give the layer its parts, and parameters without a number under the names that a checkpoint has, which hand on what comes."""
        block, names = self.prefix.rpartition(".")[0], self.names
        sizes = output_partition_sizes if len(names) == len(output_partition_sizes) else [sum(output_partition_sizes)]
        first = layer.tp_rank * input_size_per_partition if input_size_per_partition < input_size else 0
        inputs = (first, first + input_size_per_partition)
        layer.parts = nn.ModuleList(
            Part(place, f"{block}.{name}", size, inputs, params_dtype, layer.has_bias)
            for place, name, size in zip(self.places, names, sizes, strict=True)
        )
        layer.basis, layer.coefficients = nn.Module(), nn.Module()
        self.loader, self.rows = attributes["weight_loader"], sum(output_partition_sizes)
        for kind in ("weight", "pivots", "basis.weight", "coefficients.weight", "coefficients.bias"):
            parameter: Any = nn.Parameter(torch.empty(0, dtype=params_dtype), requires_grad=False)
            parameter.weight_loader = partial(self._take, layer, kind)
            holder, _, last = kind.rpartition(".")
            layer.get_submodule(holder).register_parameter(last, parameter)
        self.built.layers[self.prefix] = layer

    def _take(self, layer: LinearBase, kind: str, parameter: nn.Parameter, tensor: Tensor, shard: Any = None) -> None:
        """Hand a tensor of the checkpoint to the part whose it is."""
        part = layer.parts[index_of(shard, layer.parts)]
        if self.built.transposed and kind.endswith(".weight"):  # vLLM has turned around all that lies in a projection of GPT-2
            tensor = tensor.t()
        part.take(kind, tensor, partial(self._outputs, layer, part, shard))
        if kind == "coefficients.bias":
            layer.bias.weight_loader(layer.bias, tensor, *([] if shard is None else [shard]))

    def _outputs(self, layer: LinearBase, part: Part, shard: Any, columns: int, tensor: Tensor) -> Tensor:
        """The rows of a matrix (outputs, columns) that are this process's, as vLLM's own loader of the layer shares them out."""
        whole: Any = nn.Parameter(torch.empty(self.rows, columns, dtype=tensor.dtype, device=tensor.device), requires_grad=False)
        whole.output_dim = 0
        if not part.low_rank:
            whole.input_dim = 1
        self.loader(whole, tensor, *([] if shard is None else [shard]))
        before = sum(other.columns for other in layer.parts[: list(layer.parts).index(part)])
        rows: Tensor = whole.data[before : before + part.columns]
        return rows

    def process_weights_after_loading(self, layer: LinearBase) -> None:
        """Bring what is stored into the form that runs; raises CheckpointError with every tensor that is missing."""
        self.built.refuse_missing()
        low_rank = [part for part in layer.parts if part.low_rank]
        layer.bases = nn.ModuleDict(
            {str(place): Basis(part) for place, part in enumerate(layer.parts) if part.low_rank and part.owns_basis}
        )
        owned = list(layer.bases.values())
        together = len(owned) == len(low_rank) and not any(basis.pivoted for basis in owned) and self.built.joins(layer)
        layer.joined = Joined(owned) if together else None
        if together:
            layer.bases.clear()
        for module in list(layer.modules()):
            if isinstance(module, Held) and module.weight.numel():
                self.plain.process_weights_after_loading(module)
        readers = [self.built.reader_of(part.place) for part in low_rank]
        layer.readers = tuple(dict.fromkeys(readers))  # a tuple, or the modules of another layer would be registered here too

    def apply(self, layer: LinearBase, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`(x B) C + bias` of every part, side by side: (…, inputs) to (…, outputs) of this process."""
        between = [found for reader in layer.readers for found in reader(x, self._times)]
        low_rank = [part for part in layer.parts if part.low_rank]
        products = {part.name: self._times(part.coefficients, found) for part, found in zip(low_rank, between, strict=True)}
        outputs = [products[part.name] if part.low_rank else self._times(part.matrix, x) for part in layer.parts]
        y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return y if bias is None else y + bias

    def _times(self, held: Held, x: Tensor) -> Tensor:
        """`x` times the transposed matrix."""
        product: Tensor = self.plain.apply(held, x)
        return product
