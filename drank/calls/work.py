"""Steps carried out in this process, in a folder laid out as a run's, each only where it has not been done there before."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drank.calls.tasks import PLACES, RESUMED, Task
from drank.calls.undisturbed import undisturbed
from drank.config.forecast import forecast
from drank.config.room import room
from drank.runtime.codehash import code_of
from drank.runtime.exhausted import advise
from drank.runtime.files import file_hash, write_text
from drank.runtime.lock import hold
from drank.runtime.log import duration
from drank.runtime.telling import telling
from drank.runtime.terminal import Progress

log = logging.getLogger(__name__)

ALWAYS = ("source",)
"""Steps that are done anew each time: what they find out is whether anything has changed."""


def step_of(rule: str) -> Callable[..., Any]:
    """The function that does what a rule does; imported now, for a call needs few of them."""
    run: Callable[..., Any] = importlib.import_module(f"drank.steps.{rule}").run
    return run


class Work:
    """A folder in which steps are carried out, one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written yet."""
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other calls out of the folder, and the process of the caller as it was (`undisturbed`)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with undisturbed(), hold(self.folder / "drank.lock"):
            yield

    def carry_out(self, config: Mapping[str, Any], tasks: Sequence[Task], outputs: Mapping[str, Any] | None = None) -> Any:
        """Do these tasks in order and give what the last one returns; `outputs` has other places for what some rules write.

        Says before how long it may take, and after each step how long is left.
        """
        outputs = outputs or {}
        progress = self._progress(config, tasks)
        result = None
        for number, task in enumerate(tasks):
            name = " ".join([task.rule, *task.names.values()])
            started = time.monotonic()
            with telling(name, self.folder / "drank.log"):
                done = task.rule not in outputs and self._is_done(task)
                if not done:
                    result = self._do(task, outputs.get(task.rule))
                progress.finish(number)
                left = f", about {duration(progress.to_go())} to go" if number + 1 < len(tasks) else ""
                how = "there already" if done else f"done in {duration(time.monotonic() - started)}"
                log.info("%s; %d of %d steps%s", how, number + 1, len(tasks), left)
        return result

    def at(self, path: Any) -> Any:
        """A path of a run's folder, or a mapping or list of some, as it lies in this folder."""
        if isinstance(path, Mapping):
            return {name: self.at(value) for name, value in path.items()}
        return str(self.folder / path) if isinstance(path, str) else [self.at(value) for value in path]

    def _progress(self, config: Mapping[str, Any], tasks: Sequence[Task]) -> Progress:
        jobs = [(number, task.rule, task.names) for number, task in enumerate(tasks) if not self._is_done(task)]
        try:
            expected = forecast(config, jobs, processes=False)
            told = f": about {duration(sum(expected.values()))}"
            taken, short = room(config, jobs, self.folder)
        except (ValueError, KeyError):  # of a model that drank can measure and not compress nobody knows
            expected, told, taken, short = {number: 1.0 for number, *_ in jobs}, "", None, None
        total = sum(expected.values())
        with telling("drank", self.folder / "drank.log"):
            log.info("%d steps, %d of them to be done%s", len(tasks), len(jobs), told)
            if taken:
                log.info("%s, in %s", taken, self.folder)
            if short:
                log.warning(short)
        return Progress({number: expected.get(number, 0.0) for number in range(len(tasks))}, total)

    def _do(self, task: Task, output: Any) -> Any:
        stamp = self._stamp(task.output)
        stamp.unlink(missing_ok=True)  # an output that this step leaves half replaced must not pass for the one that was there
        code = {"code": code_of(f"drank.steps.{task.rule}")} if task.rule in RESUMED else {}
        stamped = output is None and task.rule not in ALWAYS
        key = self._key(task) if stamped else ""  # of what the step finds: a text that is edited meanwhile, or a newer drank, made nothing
        try:
            result = step_of(task.rule)(output or self.at(task.output), **self.at(task.files), **task.params, **code)
        except RuntimeError as error:
            advise(error, task.rule)
            raise
        if stamped:
            write_text(stamp, key)
        return result

    def _is_done(self, task: Task) -> bool:
        stamp = self._stamp(task.output)
        try:
            return (self.folder / task.output).exists() and stamp.read_text("utf-8") == self._key(task)
        except OSError:
            return False  # never done, or what it reads is not there yet

    def _key(self, task: Task) -> str:
        """What decides the output of a task: its code, its parameters, and what decides the files that it reads."""
        params = {name: value for name, value in task.params.items() if name != PLACES}
        parts = {"code": code_of(f"drank.steps.{task.rule}"), "params": params, "files": self._identities(task.files)}
        if "compute" in task.params:
            parts["gpu"] = _gpu()  # what `auto` means here
        outside = task.outside if isinstance(task.outside, Mapping) else [file_hash(path) for path in task.outside or ()]
        return hashlib.sha256(json.dumps([parts, outside], sort_keys=True, default=str).encode()).hexdigest()

    def _identities(self, files: Any) -> Any:
        if isinstance(files, Mapping):
            return {name: self._identities(path) for name, path in files.items()}
        stamp = self._stamp(files)
        made = not Path(files).is_absolute() and stamp.is_file()  # by a step: a file of the user is what is in it
        return stamp.read_text("utf-8") if made else file_hash(self.folder / files)

    def _stamp(self, output: str) -> Path:
        """Where the key of a finished output stands: beside it, hidden."""
        path = self.folder / output
        return path.with_name(f".{path.name}.made")


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()
