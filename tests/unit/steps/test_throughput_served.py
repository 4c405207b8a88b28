"""One job times models that vLLM runs as it times others; something stands in the place of vLLM here."""

from __future__ import annotations

import pytest
import torch

from drank.evaluation import ceilings
from drank.evaluation.served import workload
from drank.evaluation.served.interpreter import VARIABLE
from drank.steps import throughput
from tests.unit.evaluation.engines import python_with_engine
from tests.unit.steps.test_throughput import SIZES, TWINS, folder, little, numbers, run, run_beside_dense

__all__ = ["folder", "little"]

SERVED = SIZES | {"engine": "vllm"}


@pytest.fixture(autouse=True)
def _engine(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(python_with_engine(tmp_path)))
    monkeypatch.setattr(throughput, "PROCESS", 0)


def test_records_say_the_same_but_for_memory_and_by_what(folder, tmp_path):
    here, there = (run(folder, tmp_path / name, TWINS, sizes=sizes) for name, sizes in (("here", SIZES), ("there", SERVED)))
    for name, record in there.items():
        missing = numbers(here[name]).keys() - numbers(record).keys()
        assert missing == {("memory", "model_bytes"), ("memory", "peak_tensor_bytes")}, "which vLLM does not tell"
        assert numbers(record).keys() - numbers(here[name]).keys() == {("machine", "by_vllm")}
        for place in (("memory", "cache_bytes"), ("memory", "weight_bytes"), ("decode", "operations_per_token"), ("machine", "in_turn")):
            assert numbers(record)[place] == numbers(here[name])[place]
        assert record.provenance["settings"]["engine"] == record.detail["execution"]["engine"] == "vllm"
        assert len(record.detail["decode"]["steps"]) == 3 and {len(steps) for steps in record.detail["decode"]["steps"]} == {2}
        assert len(record.detail["job"]["ceilings"]) == 3
        assert numbers(record)["decode", "speedup_over_dense"] > 0, "whatever it is: all do the same, as fast as a busy machine lets them"


@pytest.mark.parametrize("large", [(throughput, "PROCESS", 3 * 10**9), (workload, "TWICE", 10**6)])
def test_engines_that_memory_does_not_hold_take_no_turns(large, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(*large)
    records = run(folder, tmp_path / "out", ["one"], sizes=SERVED, memory_mb=8000)
    assert numbers(records["one"])["machine", "in_turn"] == 0


def test_all_engines_end_where_one_fails(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FAULT", "dies")
    ended = []
    close = throughput.Served.close
    monkeypatch.setattr(throughput.Served, "close", lambda self: (close(self), ended.append(self._process.poll())))
    with pytest.raises(RuntimeError, match="status 3"):
        run(folder, tmp_path / "out", TWINS, sizes=SERVED)
    assert len(ended) == 3 and None not in ended and not (tmp_path / "out").exists()


def test_ceilings_are_measured_with_the_threads_that_time(folder, tmp_path, monkeypatch):
    threads = []
    monkeypatch.setattr(throughput, "check_cores", lambda _: None)
    monkeypatch.setattr(throughput, "settled", lambda *_: (1, 1.5))
    round_of = ceilings.Ceilings.round
    monkeypatch.setattr(ceilings.Ceilings, "round", lambda self: (threads.append(torch.get_num_threads()), round_of(self))[1])
    run(folder, tmp_path / "out", ["one"], sizes=SERVED, threads=2)
    assert threads == [1] * 3, "one, where others would have held up two"


def test_what_somebody_else_made_is_told_apart(folder, tmp_path):
    record = run_beside_dense(folder, tmp_path / "out", SERVED)
    assert record.provenance["checkpoint"]["source"] == {"path": "one"} and record.size.ratio_model > 0
