"""A model that vLLM runs in a process of its own is timed as one in this process is; `tests/vllm` has vLLM itself do it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drank.evaluation.ceilings import Ceilings
from drank.evaluation.loaded import Loaded
from drank.evaluation.served.interpreter import VARIABLE, interpreter
from drank.evaluation.served.runner import Served, _visible
from drank.evaluation.served.workload import Workload
from drank.evaluation.throughput import take_turns
from drank.evaluation.timing import Machine
from drank.models.checkpoint import load_model
from drank.models.serving.places import UnservableError
from tests.unit.evaluation.engines import python_with_engine
from tests.workflow.runs import write_model

SIZES = {"batch": 2, "prompt": 6, "generate": 4}
COMPUTE = {"device": "cpu", "dtype": "float32", "threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("served") / "model"
    write_model(directory)
    return directory


@pytest.fixture
def serve(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """Start an engine with the model, of a Python that has something in the place of vLLM; all are ended."""
    monkeypatch.setenv(VARIABLE, str(python_with_engine(tmp_path)))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked.json"))
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    started: list[Served] = []

    def start(fault: str = "", directory: Path = model, compute: dict[str, Any] = COMPUTE, **sizes: int) -> Served:
        monkeypatch.setenv("FAULT", fault)
        started.append(Served("some model", Workload(directory, SIZES | sizes, None, compute["dtype"]), compute))
        return started[-1]

    yield start
    for served in started:
        served.close()


def test_a_round_is_a_prefill_and_a_step_for_each_token(serve: Callable[..., Served]) -> None:
    runner = serve()
    before = runner.processor_seconds()
    first, steps = runner.round()
    assert len(steps) == 4 and all(0.02 <= second < 2 for second in [first, *steps]), "each step of the engine works for 20 ms"
    assert runner.processor_seconds() - before >= 0.08, "what it works is its own, to hundredths of a second"
    assert len(runner.round()[1]) == 4, "the next round begins anew"


def test_it_asks_of_a_machine_what_the_same_model_does_in_this_process(serve: Callable[..., Served], model: Path) -> None:
    runner, loaded = serve(), load_model(model)
    from drank.evaluation.generation import prompts

    here, there = Loaded(loaded, prompts(loaded, 2, 6, 0), 4).counted(Machine()), runner.counted(Machine())
    assert there.work == here.work and there.operations_per_token == here.operations_per_token
    assert there.memory == {name: here.memory[name] for name in ("weight_bytes", "cache_bytes")}


def test_engines_take_turns_and_their_work_is_not_that_of_others(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([0.0, 0.0, 5.0, 5.0])
    runners = {"one": serve(), "two": serve()}
    for runner in runners.values():
        monkeypatch.setattr(runner, "processor_seconds", lambda: next(spent))
    found = take_turns(runners, 1)
    assert all(len(timing.seconds["prefill"]) == 1 and len(timing.steps[0]) == 4 for timing in found.values())
    (other,) = found["one"].machine.other
    assert other == 0.0, "of ten seconds more than passed nothing is left for others"


def test_the_engine_is_told_the_model_its_threads_and_its_room(serve: Callable[..., Served], model: Path, tmp_path: Path) -> None:
    serve(compute={**COMPUTE, "threads": 2, "dtype": "bfloat16"})
    asked = json.loads((tmp_path / "asked.json").read_text("utf-8"))
    options = asked["options"]
    assert (options["model"], options["dtype"], options["max_num_seqs"], options["max_model_len"]) == (str(model), "bfloat16", 2, 11)
    assert options["max_num_batched_tokens"] >= 2 * 6, "one step reads all prompts"
    assert not options["enable_prefix_caching"], "or from the second round on nothing would be read"
    told = {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "PYTHONSAFEPATH": "1"}
    apart = {"VLLM_CPU_KVCACHE_SPACE": None, "OMP_WAIT_POLICY": None}
    assert asked["environment"] == told | apart, "the room of a server is not that of each engine, nor the command's way to wait"


def test_what_it_ran_by_is_told(serve: Callable[..., Served]) -> None:
    runner = serve()
    runner.round()
    taken = runner.taken(4, 0.0)
    assert taken.itemsize == 4 and taken.origin["packages"]["python"] == sys.version.split()[0]
    assert taken.origin["packages"]["vllm"] == "0.0.1" and taken.origin["packages"] == runner.told["packages"]
    assert taken.origin["peak_memory_bytes"] > 10**8, "that of the engine's process, which has torch"
    assert runner.execution()["engine"] == "vllm"


def test_a_vllm_of_another_device_times_nothing(serve: Callable[..., Served]) -> None:
    with pytest.raises(RuntimeError, match="to be timed on cuda, and this vLLM was built for cpu"):
        serve(compute={**COMPUTE, "device": "cuda"})


@pytest.mark.parametrize(
    ("device", "seen", "told"),
    [("cpu", "2,3", ""), ("cuda", "2,3", None), ("cuda:1", None, "1"), ("cuda:1", "2,3", "3"), ("cuda:0", "", "0")],
)
def test_a_gpu_is_one_of_those_that_this_process_sees(device: str, seen: Any, told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert _visible({"device": device, "threads": 1}).get("CUDA_VISIBLE_DEVICES") == told


def test_a_gpu_that_this_process_does_not_see_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with pytest.raises(ValueError, match=r"compute\.device is cuda:2, .* CUDA_VISIBLE_DEVICES shows 2,3 alone, counted from cuda:0"):
        _visible({"device": "cuda:2", "threads": 1})


def test_sizes_past_the_context_are_refused_before_anything_starts(serve: Callable[..., Served], model: Path) -> None:
    context = load_model(model).config.max_position_embeddings
    with pytest.raises(ValueError, match=f"context of {context}"):
        serve(prompt=context - 4)
    assert len(serve(prompt=context - 5).round()[1]) == 4


def test_a_head_that_vllm_would_leave_out_is_refused_before_anything_starts(
    serve: Callable[..., Served], model: Path, tmp_path: Path
) -> None:
    """Of a dense model too, which it would time beside those that are compressed."""
    other = shutil.copytree(model, tmp_path / "other")
    (other / "config.json").write_text(json.dumps(json.loads((model / "config.json").read_text()) | {"tie_word_embeddings": True}))
    with pytest.raises(UnservableError, match="set tie_word_embeddings to false"):
        serve(directory=other)


def test_a_python_without_vllm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "vllm").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name is no package
    with pytest.raises(ImportError, match=rf"{VARIABLE}=PATH.*pip install"):
        interpreter()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ImportError, match="nowhere, which is no file"):
        interpreter()
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(ImportError, match="which has no vLLM"):
        interpreter()
    for name, said in (("true", "which is no Python"), ("text", "cannot be run")):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755 if name == "true" else 0o644)
        monkeypatch.setenv(VARIABLE, str(tmp_path / name))
        with pytest.raises(ImportError, match=said):
            interpreter()
    python = python_with_engine(tmp_path)
    monkeypatch.setenv(VARIABLE, python.name)
    assert Path(interpreter()).samefile(python) and Path(interpreter()).is_absolute()


def test_ceilings_are_those_of_this_process_between_the_models(serve: Callable[..., Served]) -> None:
    class Rates(Ceilings):
        def __init__(self) -> None:
            self.rounds = 0

        def round(self) -> dict[str, float]:
            self.rounds += 1
            return {"rate": 1.0}

    rates = Rates()
    assert len(take_turns({"one": serve()}, 3, rates)["one"].machine.ceilings) == rates.rounds == 3
