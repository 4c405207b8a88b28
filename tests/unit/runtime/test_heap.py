"""Freed memory that stays: counted in pages that the system hands out."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from drank.runtime import heap

PROGRAM = """
import resource, torch
from drank.runtime.heap import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.zeros(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before, told = faults(), keep_freed()
print(told, before, min(faults() for _ in range(20)))  # what lies around settles first
"""


def test_the_next_tensor_of_a_size_takes_the_place_of_the_last():
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True)
    told, before, after = done.stdout.split()
    if told == "False":
        pytest.skip("the allocator of this machine cannot be told to keep memory")
    assert int(after) < int(before) / 10, f"{before} pages were faulted in for 3 tensors of 64 MiB, then {after}"


@pytest.mark.parametrize(("takes", "asked"), [(False, [heap.MMAP_THRESHOLD]), (True, [heap.MMAP_THRESHOLD, heap.TRIM_THRESHOLD])])
def test_an_allocator_that_refuses_large_blocks_is_left_as_it_is(takes, asked, monkeypatch):
    """The second option alone would fix the threshold of the first at a small value."""
    seen = []

    def mallopt(option: int, _value: int) -> int:
        seen.append(option)
        return int(takes)

    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=mallopt))
    assert heap.keep_freed() is takes and seen == asked


def test_an_allocator_without_options_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _name: SimpleNamespace())
    assert heap.keep_freed() is False
