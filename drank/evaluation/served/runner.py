"""A model that vLLM runs in a process of its own, as what is timed."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

import drank
from drank.evaluation.execution import VLLM
from drank.evaluation.generation import decode, prefill, prompts
from drank.evaluation.measured_model import Taken
from drank.evaluation.served.engine import main
from drank.evaluation.served.interpreter import environment_of, interpreter
from drank.evaluation.throughput import check_sizes
from drank.evaluation.timing import PHASES, Machine, Timing, work_of
from drank.models.checkpoint import load_model
from drank.models.description import quantised_by
from drank.models.families import context_of
from drank.runtime.files import read_json
from drank.runtime.provenance import origin

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

MODULE = main.__module__
"""What the process runs."""

START = f"""
import importlib.util, runpy, sys
found = importlib.util.spec_from_file_location("drank", sys.argv.pop(1))
sys.modules["drank"] = importlib.util.module_from_spec(found)
found.loader.exec_module(sys.modules["drank"])
runpy.run_module({MODULE!r}, run_name="__main__")
"""
"""Runs it as a part of this very drank, from its own place, of which compiled code is remembered by; no other package comes from there."""

WITHOUT = ("VLLM_CPU_KVCACHE_SPACE",)
"""What a server is told by the environment and an engine is told otherwise: vLLM would take this for the room of each."""

BLOCK, TWICE = 256, 2
"""Tokens that the last block of a prompt may hold in vain, and how much more room than that there is: layers are rounded up to groups."""

LAST = 30
"""Lines of what an engine wrote, in the error where it ended."""


class Served:
    """An engine of vLLM with the model in a directory; `close` ends its process.

    Attributes: `told`, as of its last round the versions of that process (`packages`) and the most memory it held (`peak_memory_bytes`).
    """

    def __init__(self, name: str, directory: Path, sizes: Mapping[str, int], first: int | None, compute: Mapping[str, Any]) -> None:
        """Start the engine and wait until it is ready, the model compiled.

        `sizes` are `batch`, `prompt` and `generate`; `first` is the token that begins every prompt, where one does; `compute` has `device`,
        `dtype` and `threads`. Raises ValueError for sizes that the model does not have, CheckpointError for a model that is not whole,
        RuntimeError with its last words where the engine ends, and what `interpreter` raises.
        """
        self._compute, self._generate, self._work = compute, sizes["generate"], _Work(directory, sizes, first, compute["dtype"])
        self._name, python = name, interpreter()
        (self._pipe, theirs), self._log = Pipe(), tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the process
        self._process = subprocess.Popen(
            [python, "-c", START, drank.__file__, str(theirs.fileno())],
            stdin=subprocess.PIPE,  # nothing comes: it ends when this process does, be it killed while a model loads
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment_of(python, WITHOUT) | _visible(compute),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        options = {"dtype": compute["dtype"], "seed": 0, "gpu_memory_utilization": 0.01}  # what memory it takes is said beside
        asked = {"directory": str(directory), "prompts": self._work.ids.tolist(), "generate": self._generate, "options": options}
        asked |= {"cache_bytes": self._work.room, "threads": compute["threads"], "device": compute["device"].partition(":")[0]}
        begun = time.perf_counter()
        try:
            self.told: dict[str, Any] = self._answer(asked)
        except BaseException:
            self.close()
            raise
        log.info("%s: loaded and compiled by vLLM in %.0f s", name, time.perf_counter() - begun)

    def counted(self, machine: Machine) -> Timing:
        """A timing without rounds: what the model's tensors weigh and ask of a machine, as transformers would run it.

        How much memory vLLM itself takes is not known from outside, so that of `Timing.memory` it has no more than the weights that a token
        reads, and the cache.
        """
        work = self._work
        memory = {"weight_bytes": work.weights, "cache_bytes": work.cache}
        batch, prompt = work.ids.shape
        asked = work_of(work.read, work.written, work.weights, work.cache, prompt, self._generate)
        return Timing({phase: [] for phase in PHASES}, memory, [], asked, work.written // batch, machine)

    def round(self) -> tuple[float, list[float]]:
        """Seconds of one prefill and of each step of the decoding that follows it; raises RuntimeError where the engine ends."""
        (first, *steps), self.told = self._answer("round")
        return first, steps

    def processor_seconds(self) -> float:
        """Seconds that processors have worked for the engine so far, 0 where the system does not say."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        if not stat.is_file():
            return 0.0
        fields = stat.read_text("utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def execution(self) -> dict[str, Any]:
        """How the model was run, as a record tells it."""
        return {"engine": VLLM, "packages": self.told["packages"]}

    def taken(self, itemsize: int, started: float) -> Taken:
        """What measuring took, in parameters of so many bytes, since `started`: packages and memory are those of the engine."""
        return Taken(itemsize, origin(self._compute["device"], self._compute["threads"], started) | self.told)

    def close(self) -> None:
        """End the process, whatever it does: it has nothing to save; once more changes nothing."""
        self._pipe.close()
        with self._process:
            self._process.kill()
        self._log.close()

    def _answer(self, request: Any) -> Any:
        try:
            self._pipe.send(request)
            return self._pipe.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            self._log.seek(0)
            said = "\n".join(self._log.read().decode("utf-8", "replace").splitlines()[-LAST:])
            raise RuntimeError(f"{self._name}: the process of vLLM ended with status {status}; its last lines:\n{said}") from None


def _visible(compute: Mapping[str, Any]) -> dict[str, str]:
    """What of the environment is by its threads and its device: of the GPUs that this process sees the one that it is told, or none."""
    told, (kind, _, number) = {"OMP_NUM_THREADS": str(compute["threads"])}, compute["device"].partition(":")
    if kind == "cuda" and not number:
        return told
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return told | {"CUDA_VISIBLE_DEVICES": seen[int(number)] if number and seen != [""] else number}


class _Work:
    """The prompts of a model, and what they and the tokens after them ask of a machine.

    Its weights are nowhere in memory, but where another quantiser packed them, which counts only what is there: then no longer than this.
    """

    ids: Tensor

    def __init__(self, directory: Path, sizes: Mapping[str, int], first: int | None, dtype: str) -> None:
        import torch

        from drank.evaluation.operations import operations_of
        from drank.evaluation.tensor_memory import cache_bytes, weight_bytes

        batch, prompt, generate = (sizes[name] for name in ("batch", "prompt", "generate"))
        model = load_model(directory, dtype, "cpu" if quantised_by(read_json(directory / "config.json")) else "meta")
        check_sizes(context_of(model.config.get_text_config()), batch=batch, prompt=prompt, generate=generate + 1)  # vLLM counts the last
        self.ids = prompts(model, batch, prompt, 0, first)
        self.weights = weight_bytes(model)  # as they are packed, for so vLLM reads them; transformers unpacks some when they are asked
        with torch.inference_mode():
            self.read, state = operations_of(lambda: prefill(model, self.ids.to(model.device), generate))
            self.written, state = operations_of(lambda: decode(model, state, 1))
            last = decode(model, state, generate - 1)
            token = prefill(model, self.ids[:1, :1].to(model.device), 1)
        self.cache = cache_bytes(last.past_key_values)
        # of all layers: while vLLM reads a prompt, those that look back no further than a window hold it whole
        self.room = TWICE * batch * (prompt + generate + 1 + BLOCK) * cache_bytes(token.past_key_values)
