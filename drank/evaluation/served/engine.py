"""The process of one vLLM engine: told which model and how, it says when it is ready, and then times a round whenever it is asked.

Its argument is the number of an open pipe of `multiprocessing.connection`.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from drank.runtime.provenance import packages, peak_memory

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the cores are those that this process may use
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # a step is a call, not a message to one more process
    "VLLM_LOGGING_LEVEL": "WARNING",
}


class Engine:
    """An engine of vLLM for the model in a directory, and the prompts that it reads, lists of tokens of one length."""

    def __init__(
        self, directory: str, prompts: Sequence[Sequence[int]], generate: int, cache_bytes: int, options: Mapping[str, Any]
    ) -> None:
        """Load the model, compile it, and make room for keys and values of `cache_bytes`; `options` are further ones of `vllm.LLM`.

        A step takes all prompts at once, so that the first one is the prefill.
        """
        from vllm import LLM, SamplingParams

        from drank.models.serving.plugin import register

        register()
        self._prompts, self._steps = prompts, generate + 1
        length = len(prompts[0]) + self._steps
        self._engine = LLM(
            model=directory,
            max_model_len=length,
            max_num_seqs=len(prompts),
            max_num_batched_tokens=len(prompts) * length,
            kv_cache_memory_bytes=cache_bytes,
            skip_tokenizer_init=True,
            enable_prefix_caching=False,
            async_scheduling=False,  # a step ends when its tokens are there
            disable_log_stats=True,
            **options,
        ).llm_engine
        self._parameters = SamplingParams(max_tokens=self._steps, temperature=0, ignore_eos=True, detokenize=False)

    def round(self) -> list[float]:
        """The seconds of the prefill, which gives the first token of each prompt, and of each step after it.

        Raises RuntimeError where a step gave another number of tokens than one for each prompt.
        """
        for number, tokens in enumerate(self._prompts):
            self._engine.add_request(str(number), {"prompt_token_ids": list(tokens)}, self._parameters)
        seconds, given = [], []
        while self._engine.has_unfinished_requests():
            begun = time.perf_counter()
            outputs = self._engine.step()
            seconds.append(time.perf_counter() - begun)
            given.append([len(output.outputs[0].token_ids) for output in outputs])
        if given != (expected := list(_expected(len(self._prompts), self._steps))):
            raise RuntimeError(f"vLLM gave tokens so, by step and prompt: {given}, where a prompt has one in each step: {expected}")
        return seconds


def _expected(batch: int, steps: int) -> Iterator[list[int]]:
    """How many tokens each prompt has after each step."""
    for step in range(1, steps + 1):
        yield [step] * batch


def told() -> dict[str, Any]:
    """The versions of what runs the model in this process, and the most memory it has held."""
    import vllm

    return {"packages": {**packages(), "vllm": str(vllm.__version__)}, "peak_memory_bytes": peak_memory()}


def check_device(device: str) -> None:
    """Raise ValueError where this vLLM runs models elsewhere than on a kind of device."""
    from vllm.platforms import current_platform

    if current_platform.device_type != device:
        raise ValueError(
            f"models are to be timed on {device}, and this vLLM was built for {current_platform.device_type or 'another device'}: name one "
            "for that device, or set compute.device"
        )


def _end_with_parent() -> None:
    """Wait until the process that has the other end of the standard input is gone, and end at once, whatever goes on."""
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """Serve the pipe until it says None."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    asked = connection.recv()
    os.environ |= ENVIRONMENT
    import torch

    torch.set_num_threads(asked.pop("threads"))
    check_device(asked.pop("device"))
    engine = Engine(**asked)
    gc.freeze()
    gc.disable()  # as in a process that times by itself, between whose rounds it is called
    connection.send(told())
    while connection.recv() is not None:
        gc.collect()
        connection.send((engine.round(), told()))


if __name__ == "__main__":
    main()
