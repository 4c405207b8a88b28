"""How much memory is free is asked where the tensors would lie, and the hub is switched off whoever has imported its client."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drank.runtime import device
from drank.runtime.device import free_memory
from drank.runtime.provenance import memory


def test_free_memory_is_the_machines_or_the_gpus(monkeypatch):
    assert 2**20 < free_memory("cpu") <= memory()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda": (7, 9)}[device])
    assert free_memory("cuda") == 7


V1 = "4:memory:/x\n3:cpuset:/x\n2:cpu,cpuacct:{}\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {"cpu.max": "max 100000"}, []),
        ("0::/", {"cpu.max": "150000 100000"}, [1.5]),
        ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000", "cpu.max": "max 100000"}, [4, 2]),
        ("0::/../outside", {"cpu.max": "300000 100000"}, [3]),
        (V1.format("/"), {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        (V1.format("/docker/c"), {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, [2]),
        (V1.format("/a"), {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000", "memory/cpu.max": "1 1"}, [0.5]),
    ],
)
def test_what_a_container_may_take_of_the_cores_is_known(tmp_path, monkeypatch, groups, files, expected):
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(f"{text}\n")
    found = list(device._quotas(tmp_path / "cgroup", tmp_path / "mounted"))
    assert found == expected
    assert not list(device._quotas(tmp_path / "none", tmp_path))
    monkeypatch.setattr(device, "processors", lambda: 8)
    monkeypatch.setattr(device, "_quotas", lambda *_: found)
    assert device.cores() == max(1, int(min(expected, default=8)))


PINNED = """
import sys
import drank.steps.evaluate
from drank.evaluation.zeroshot.definitions import define, in_hub_cache
from drank.runtime import device
from drank.runtime.device import prepare
from huggingface_hub import constants
assert not constants.HF_HUB_OFFLINE, "this test is of a process in which nobody has switched it off"
prepare({"device": "cpu"}, 1)
made = define("a", {"harness": "mmlu_anatomy", "revision": "b" * 40}, {}, ".")
assert (made["dataset_path"], made["dataset_kwargs"]) == (sys.argv[1], {}), made
assert in_hub_cache({"dataset_path": "cais/mmlu"})
import datasets
assert datasets.config.HF_HUB_OFFLINE
"""


def test_a_job_that_measures_reads_the_revision_that_was_asked_for(tmp_path):
    """With the hub on, `datasets` would take the revision that it prepared last, which need not be this one."""
    repository = tmp_path / "datasets--cais--mmlu"
    for commit in "ab":
        (repository / "snapshots" / (commit * 40)).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    kept = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    kept |= {"HF_HUB_CACHE": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    snapshot = repository / "snapshots" / ("b" * 40)
    done = subprocess.run([sys.executable, "-c", PINNED, str(snapshot)], env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
