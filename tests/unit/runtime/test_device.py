"""How much memory is free is asked where the tensors would lie, and the hub is switched off whoever has imported its client."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from drank.runtime.device import free_memory
from drank.runtime.provenance import memory


def test_free_memory_is_the_machines_or_the_gpus(monkeypatch):
    assert 2**20 < free_memory("cpu") <= memory()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda": (7, 9)}[device])
    assert free_memory("cuda") == 7


PINNED = """
import sys
import drank.steps.evaluate
from drank.evaluation.zeroshot.definitions import define, in_hub_cache
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
