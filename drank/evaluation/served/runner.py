"""A model that vLLM runs in a process of its own, as what is timed."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import drank
from drank.evaluation.execution import VLLM
from drank.evaluation.measured_model import Taken
from drank.evaluation.served.engine import main
from drank.evaluation.served.interpreter import environment_of, interpreter
from drank.evaluation.served.workload import Workload
from drank.evaluation.timing import PHASES, Machine, Timing, work_of
from drank.runtime.provenance import origin

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

WITHOUT = ("VLLM_CPU_KVCACHE_SPACE", "OMP_WAIT_POLICY")
"""What an engine does not get of the environment: what vLLM would take for the room of each, and how the command `drank` lets threads wait,
which a server does not."""

LAST = 30
"""Lines of what an engine wrote, in the error where it ended."""

LOOK, STILL = 60, 15
"""Seconds between looks at an engine that has not answered, and after how many with next to no work in between it is given up."""


class Served:
    """An engine of vLLM with the model in a directory; `close` ends its process.

    Attributes: `told`, as of its last round the versions of that process (`packages`) and the most memory it held (`peak_memory_bytes`).
    """

    def __init__(self, name: str, work: Workload, compute: Mapping[str, Any]) -> None:
        """Start the engine and wait until it is ready, the model compiled.

        `compute` has `device`, `dtype` and `threads`. Raises RuntimeError with its last words where the engine ends or stands still, and
        what `interpreter` raises.
        """
        self._compute, self._work = compute, work
        self._name, python = name, interpreter()
        environment = environment_of(python, WITHOUT) | _visible(compute)
        (self._pipe, theirs), self._log = Pipe(), tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the process
        self._process = subprocess.Popen(
            [python, "-c", START, drank.__file__, str(theirs.fileno())],
            stdin=subprocess.PIPE,  # nothing comes: it ends when this process does, be it killed while a model loads
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        options = {"dtype": compute["dtype"], "seed": 0, "gpu_memory_utilization": 0.01}  # what memory it takes is said beside
        asked = {"directory": str(work.directory), "prompts": work.ids.tolist(), "generate": work.generate, "options": options}
        asked |= {"cache_bytes": work.room, "threads": compute["threads"], "device": compute["device"].partition(":")[0]}
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
        asked = work_of(work.read, work.written, work.weights, work.cache, prompt, work.generate)
        return Timing({phase: [] for phase in PHASES}, memory, [], asked, work.written // batch, machine)

    def round(self) -> tuple[float, list[float]]:
        """Seconds of one prefill and of each step of the decoding that follows it; raises RuntimeError where the engine ends."""
        (first, *steps), self.told = self._answer("round")
        return first, steps

    def processor_seconds(self) -> float:
        """Seconds that processors have worked for the engine so far, and for what it started; 0 where the system does not say."""
        return _seconds(self._process.pid)

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
        """What the engine says to a request, however long it works on it."""
        try:
            self._pipe.send(request)
            worked, still = _seconds(self._process.pid), 0
            for looks in itertools.count(1):
                if self._pipe.poll(LOOK):
                    return self._pipe.recv()
                before, worked = worked, _seconds(self._process.pid)
                still = still + 1 if worked and worked - before < LOOK / 60 else 0  # not every system says
                if still == STILL:
                    raise RuntimeError(f"{self._name}: the process of vLLM has done nothing for {STILL * LOOK:.0f} s; {self._last_words()}")
                log.info("%s: vLLM at work for %d s", self._name, looks * LOOK)
        except (EOFError, OSError):
            status = self._process.wait()
            raise RuntimeError(f"{self._name}: the process of vLLM ended with status {status}; {self._last_words()}") from None

    def _last_words(self) -> str:
        self._log.seek(0)
        said = "\n".join(self._log.read().decode("utf-8", "replace").splitlines()[-LAST:])
        return f"its last lines:\n{said}"


def _visible(compute: Mapping[str, Any]) -> dict[str, str]:
    """What of the environment is by its threads and its device: of the GPUs that this process sees the one that it is told, or none.

    Raises ValueError for one that it does not see.
    """
    told, (kind, _, number) = {"OMP_NUM_THREADS": str(compute["threads"])}, compute["device"].partition(":")
    if kind == "cuda" and not number:
        return told
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if not number or seen == [""]:
        return told | {"CUDA_VISIBLE_DEVICES": number}
    if int(number) >= len(seen):
        raise ValueError(
            f"compute.device is {compute['device']}, and of the GPUs here CUDA_VISIBLE_DEVICES shows {','.join(seen)} alone, counted from "
            "cuda:0; name one of these, or let it show more of them"
        )
    return told | {"CUDA_VISIBLE_DEVICES": seen[int(number)]}


def _seconds(process: int) -> float:
    """How long processors have worked for a process and all that it started."""
    return sum(map(_ticks, _with_children(process))) / os.sysconf("SC_CLK_TCK")


def _with_children(process: int) -> Iterator[int]:
    """The number of a process, and those of all that live below it: compilers, when a model is compiled."""
    yield process
    for started in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has ended meanwhile
            for child in started.read_text("ascii").split():
                yield from _with_children(int(child))


def _ticks(process: int) -> int:
    """How long a process and those below it that have ended have worked, by the system's clock."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0
