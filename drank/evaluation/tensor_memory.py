"""How much memory a model takes of its own: bytes of tensors, whatever the process around them holds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from drank.models.execution.projections import Bases, Projection
from drank.models.lowrank import LowRankLinear, PivotedLinear
from drank.models.tensor_bytes import bytes_of, held


def model_bytes(model: nn.Module) -> int:
    """Bytes of the weights and buffers of a model as they are held in memory, those that several modules share once."""
    return held([*model.parameters(), *model.buffers()])


def weight_bytes(model: nn.Module) -> int:
    """Bytes of what is read of a model for a token: its weights and buffers without embeddings, of which a token reads one row.

    An embedding that is the output layer too is read whole, a basis that several layers share by each of them: between two of its readers
    stand more weights than any cache holds. Of a mixture all experts count, though one token asks a few.
    """
    once = held(tensor for module in model.modules() if not isinstance(module, nn.Embedding) for tensor in _own(module))
    return once + sum(held(tensors) for tensors in _read_again(model))


def _read_again(model: nn.Module) -> Iterator[list[Tensor]]:
    """What each layer reads of a basis that another one owns, as it is stored or as it is run."""
    bases: set[Bases] = set()
    for module in model.modules():
        if isinstance(module, LowRankLinear) and not module.owns_basis:
            yield [module.basis.weight, *([module.order] if isinstance(module, PivotedLinear) else [])]
        elif isinstance(module, Projection) and module.place == 0:
            if module.bases in bases:
                yield [*module.bases.parameters(), *module.bases.buffers()]
            bases.add(module.bases)


def _own(module: nn.Module) -> Iterator[Tensor]:
    """The weights and buffers that a module itself has."""
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def cache_bytes(cache: Any) -> int:
    """Bytes of all tensors that a cache of keys and values holds."""
    return held(_tensors(cache, set()))


def peak_tensor_bytes(model: nn.Module, device: torch.device, work: Callable[[], Any]) -> tuple[int, Any]:
    """The most bytes that the model and what a piece of work makes (activations, caches) hold at once, and what the work returns.

    Without what was there before, other models among it. On CUDA it is the allocator's count; elsewhere that of the tensors which
    operations return, so that the scratch memory within an operation does not count. To be called where no gradients are kept.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = work()
        torch.cuda.synchronize(device)
        made = torch.cuda.max_memory_allocated(device) - before
    else:
        with _Count() as count:
            result = work()
        made = count.peak
    return model_bytes(model) + made, result


def _tensors(node: Any, seen: set[int]) -> Iterator[Tensor]:
    """All tensors below an object: in its attributes, and in lists, tuples and dictionaries."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _tensors(value, seen)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _tensors(value, seen)
    elif hasattr(node, "__dict__") and not isinstance(node, type | nn.Module):
        yield from _tensors(vars(node), seen)


class _Count(TorchDispatchMode):
    """Counts the bytes of the storages that operations make while they live; `peak` is the most of them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.finalize[..., torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it returns that is not a view of what went in."""
        for tensor in (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)):
            self._note(tensor, 0)  # was there before: counted when it was made, or nothing that the work made
        result = func(*args, **(kwargs or {}))
        for tensor in (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)):
            self._note(tensor, bytes_of(tensor))
        self.peak = max(self.peak, self.live)
        return result

    def __exit__(self, *error: Any) -> None:
        """Stop counting what still lives."""
        for end in self._known.values():
            end.detach()
        super().__exit__(*error)

    def _note(self, tensor: Tensor, size: int) -> None:
        """Count a storage that is new for as long as it lives; packed weights have none, and no work makes them."""
        if tensor.is_mkldnn:
            return
        storage = tensor.untyped_storage()
        if id(storage) not in self._known:
            self._known[id(storage)] = weakref.finalize(storage, self._gone, id(storage), size)
            self.live += size

    def _gone(self, known: int, size: int) -> None:
        del self._known[known]
        self.live -= size
