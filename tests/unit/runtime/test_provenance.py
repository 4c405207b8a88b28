"""Where a result comes from: code, packages, machine, date, time and memory."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch

from drank.runtime.device import cores, processors
from drank.runtime.provenance import cpu_name, memory, origin


def test_an_origin_tells_code_machine_and_time():
    found = origin("cpu", 2, time.perf_counter() - 2)
    assert 2 <= found["seconds"] < 10
    assert found["peak_memory_bytes"] > 2**20
    assert found["packages"]["numpy"]
    assert (found["device"], found["threads"]) == ("cpu", 2)
    assert found["machine"] == {"cpu": cpu_name(), "cores": cores(), "memory_bytes": memory(), "gpu": None}
    now = datetime.fromisoformat(found["date"])
    assert now.tzinfo is not None and datetime.now(UTC) - now < timedelta(minutes=1)


def test_a_machine_is_described_by_what_the_system_says_of_it():
    assert 1 <= cores() <= processors() == len(os.sched_getaffinity(0))
    total = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024
    assert abs(memory() - total) < 0.02 * total
    assert cpu_name() in Path("/proc/cpuinfo").read_text()


def test_the_gpu_is_the_one_that_was_computed_on(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"A GPU behind {device}")
    assert origin("cuda:1", 1, 0.0)["machine"]["gpu"] == "A GPU behind cuda:1"
