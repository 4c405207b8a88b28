"""How much memory is free is asked where the tensors would lie."""

import torch

from drank.runtime.device import free_memory
from drank.runtime.provenance import memory


def test_free_memory_is_the_machines_or_the_gpus(monkeypatch):
    assert 2**20 < free_memory("cpu") <= memory()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda": (7, 9)}[device])
    assert free_memory("cuda") == 7
