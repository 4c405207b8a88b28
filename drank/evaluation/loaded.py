"""A model of transformers, in this process, as what is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drank.evaluation.clock import Clock
from drank.evaluation.generation import decode, fixed_cache, prefill
from drank.evaluation.timing import PHASES, Machine, Timing, work_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Loaded:
    """A model in evaluation mode, the prompts (batch, prompt) that it reads, and how many tokens it writes after each."""

    def __init__(self, model: PreTrainedModel, ids: Tensor, generate: int) -> None:
        """Take all three as they are."""
        self._model, self._ids, self._generate = model, ids, generate
        self._cache: Any = None  # of all rounds

    def counted(self, machine: Machine) -> Timing:
        """A timing without rounds: the bytes of the tensors over one prefill and decoding, and what both ask of a machine."""
        from drank.evaluation.operations import operations_of
        from drank.evaluation.tensor_memory import cache_bytes, model_bytes, peak_tensor_bytes, weight_bytes

        model, ids, generate = self._model, self._ids, self._generate
        batch, prompt = ids.shape
        read, state = operations_of(lambda: prefill(model, ids, generate))
        written, _ = operations_of(lambda: decode(model, state, 1))
        peak, last = peak_tensor_bytes(model, ids.device, lambda: decode(model, prefill(model, ids, generate), generate))
        weights, cache = weight_bytes(model), cache_bytes(last.past_key_values)
        memory = {"model_bytes": model_bytes(model), "weight_bytes": weights, "cache_bytes": cache, "peak_tensor_bytes": peak}
        work = work_of(read, written, weights, cache, prompt, generate)
        return Timing({phase: [] for phase in PHASES}, memory, [], work, written // batch, machine)

    def round(self) -> tuple[float, list[float]]:
        """Seconds of one prefill and of each step of the decoding that follows it.

        A cache of fixed size is that of the round before, emptied: for one that lies elsewhere a CUDA graph would be recorded anew. But
        for a prompt of one token, which what is compiled tells from a token by a cache that nothing was in.
        """
        if self._cache is None or self._ids.shape[1] == 1:
            self._cache = fixed_cache(self._model, self._ids.shape[1] + self._generate)
        else:
            self._cache.reset()
        clock = Clock(self._ids.device)
        state = prefill(self._model, self._ids, self._generate, self._cache)
        clock.mark()
        decode(self._model, state, self._generate, clock.mark)
        first, *steps = clock.spans()
        return first, steps

    def processor_seconds(self) -> float:
        """None but those of this process."""
        return 0.0
