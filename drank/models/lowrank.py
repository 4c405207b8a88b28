"""Low-rank linear maps `x W ≈ (x B) C` whose basis B is shared by the layers of a group, a module for each storage.

B is d1 × k, C = [C_1 … C_n] is k × n·d2, one block per layer (Basis Sharing, arXiv:2410.03765; D-Rank, arXiv:2509.25622, section 3).
In pivoted form (PIFA, arXiv:2501.19090) k rows I of the basis are the identity: `x W ≈ (x_I + x_Ī N) R`, with N (d1 − k) × k.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from drank.models.description import CheckpointError
from drank.models.guard import guard

if TYPE_CHECKING:
    from transformers.pytorch_utils import Conv1D


def matrix_of(dense: nn.Module) -> Tensor:
    """W of a dense projection, `nn.Linear` or GPT-2's Conv1D: a view (d1, d2) of its weight, with y = x W."""
    weight = cast("Tensor", dense.weight)
    return weight.mT if isinstance(dense, nn.Linear) else weight


def sides_of(module: nn.Linear | Conv1D | LowRankLinear) -> tuple[int, int]:
    """Inputs and outputs of a projection, dense or not."""
    if isinstance(module, LowRankLinear):
        return module.in_features, module.out_features
    rows, columns = matrix_of(module).shape
    return rows, columns


def _parameter(values: Tensor, dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    """A parameter with its own contiguous memory."""
    return nn.Parameter(values.detach().to(dtype=dtype, device=device, copy=True).contiguous())


class LowRankLinear(nn.Module):
    """A linear map stored as two: `coefficients(basis(x))`, both plain `nn.Linear`, so that LoRA can target either.

    The first layer of a group owns the basis. The others read it from their owner, which they hold unregistered: the state dict has
    the basis once, and it stays shared whatever is done to the model (`to`, `deepcopy`, loading, or an adapter put in its place).
    """

    basis: nn.Linear
    coefficients: nn.Linear
    weight: Tensor

    OWNED: ClassVar[frozenset[str]] = frozenset({"basis"})
    """What only the first layer of a group has."""

    def __init__(self, dense: nn.Linear | Conv1D | LowRankLinear, rank: int, owner: LowRankLinear | None = None) -> None:
        """Stand in for `dense`, on the meta device and with its dtype; `fill` or the loading of a state dict gives the weights."""
        super().__init__()
        self.in_features, self.out_features = sides_of(dense)
        self.rank = rank
        self._owner: tuple[LowRankLinear, ...] = (
            () if owner is None else (owner,)
        )  # a tuple, for nn.Module registers every module that is an attribute
        dtype = dense.weight.dtype
        if owner is None:
            self.basis = nn.Linear(self._basis_rows, rank, bias=False, device="meta", dtype=dtype)
        self.coefficients = nn.Linear(rank, self.out_features, bias=dense.bias is not None, device="meta", dtype=dtype)
        self.register_buffer("weight", guard(dtype, "meta"))
        self.train(dense.training)

    def __getattr__(self, name: str) -> Any:
        """The owner's basis where the layer owns none, else what nn.Module finds."""
        if name in self.OWNED and self.__dict__.get("_owner"):
            return getattr(self._owner[0], name)
        return super().__getattr__(name)

    @property
    def _basis_rows(self) -> int:
        """The rows of the basis that are stored."""
        return self.in_features

    @property
    def owner(self) -> LowRankLinear:
        """The module that has the basis: itself, or the one of the first layer of its group."""
        return self._owner[0] if self._owner else self

    @property
    def owns_basis(self) -> bool:
        """Whether the basis is stored with this layer."""
        return not self._owner

    @property
    def bias(self) -> Tensor | None:
        """The bias of the dense map, which the coefficients hold."""
        return self.coefficients.bias

    def fill(self, basis: Tensor, coefficients: Tensor, dense: nn.Linear | Conv1D | LowRankLinear) -> None:
        """Set the weights from the rows of B that are stored, (…, k), this layer's block of C (k × d2) and the bias of `dense`.

        They get the dtype and the device of `dense`.
        """
        dtype, device = dense.weight.dtype, dense.weight.device
        if self.owns_basis:
            self.basis.weight = _parameter(basis.T, dtype, device)
        self.coefficients.weight = _parameter(coefficients.T, dtype, device)
        if dense.bias is not None:
            self.coefficients.bias = cast("nn.Parameter", dense.bias)
        self.weight = guard(dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        """`x B C + bias`: (…, d1) to (…, d2)."""
        y: Tensor = self.coefficients(self.basis(x))
        return y

    def extra_repr(self) -> str:
        """Sizes, and whether the basis is another layer's."""
        borrowed = "" if self.owns_basis else ", basis borrowed"
        return f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}{borrowed}"


class PivotedLinear(LowRankLinear):
    """A linear map stored in pivoted form: `coefficients(x[pivots] + basis(x[others]))`.

    The owner of a group's basis stores which inputs are its `pivots`, (k,) int32. `order`, (d1,) int64, has these and then all others; it
    is not stored, but found by `arrange`, which filling and loading call.
    """

    pivots: Tensor
    order: Tensor

    OWNED: ClassVar[frozenset[str]] = frozenset({"basis", "pivots", "order"})

    def __init__(self, dense: nn.Linear | Conv1D | LowRankLinear, rank: int, owner: LowRankLinear | None = None) -> None:
        """As for two factors."""
        super().__init__(dense, rank, owner)
        if owner is None:
            self.register_buffer("pivots", torch.empty(rank, dtype=torch.int32, device="meta"))
            self.register_buffer("order", torch.empty(self.in_features, dtype=torch.int64, device="meta"), persistent=False)
            self.register_load_state_dict_post_hook(_arranged)

    @property
    def _basis_rows(self) -> int:
        return self.in_features - self.rank

    def place(self, pivots: Tensor) -> None:
        """Set which inputs are the pivots, (k,) of whole numbers, on the device of the weights."""
        self.pivots = pivots.to(self.basis.weight.device, torch.int32)
        self.arrange()

    def arrange(self) -> None:
        """Find the order of the inputs, where there are pivots; raises CheckpointError where these are not k different inputs.

        Raises ValueError where the pivots were offloaded, since the order is found once.
        """
        if self.pivots.is_meta and self.order.is_meta:
            return
        if self.pivots.is_meta:
            raise ValueError("the pivots of this model were offloaded with its buffers; load it without offload_buffers: they are small")
        chosen = self.pivots.long()
        others = torch.ones(self.in_features, dtype=torch.bool, device=chosen.device)
        if not ((chosen >= 0) & (chosen < self.in_features)).all() or len(chosen.unique()) < self.rank:
            raise CheckpointError(
                f"pivots of a projection with {self.in_features} inputs are not {self.rank} different ones of them; the file that holds "
                "them is corrupt: rerun `compress`, or fetch it again"
            )
        others[chosen] = False
        self.order = torch.cat([chosen, others.nonzero().flatten()])

    def forward(self, x: Tensor) -> Tensor:
        """`(x_I + x_Ī N) R + bias`: (…, d1) to (…, d2)."""
        order = self.order
        x = x.to(order.device)  # accelerate brings inputs to a layer and to its linear maps, not to the device of another layer's order
        pivots, others = (_taken(x, part) for part in order.split((self.rank, self.in_features - self.rank)))
        y: Tensor = self.coefficients(pivots + self.basis(others))
        return y


def _arranged(module: PivotedLinear, _: Any) -> None:
    """What follows the loading of a state dict; a function of the module, for a lambda could not be pickled and the model with it."""
    module.arrange()


def _taken(x: Tensor, indices: Tensor) -> Tensor:
    """The entries of the last dimension; by `gather`, which on a CPU takes a fifth of the time of `index_select`."""
    return x.gather(-1, indices.expand(*x.shape[:-1], -1))


MODULES: dict[str, type[LowRankLinear]] = {"factors": LowRankLinear, "pivoted": PivotedLinear}
"""The module of each storage."""
