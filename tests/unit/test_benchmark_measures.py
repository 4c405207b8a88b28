"""What the benchmark of measures compares with is a perplexity, and its ratio the one that it says."""

from __future__ import annotations

import pytest
import torch

from benchmarks.measures import alone, over, told
from drank.evaluation.losses import window_losses
from tests.unit.evaluation.measuring import llama


def test_perplexity_alone_finds_the_losses_that_drank_does():
    windows = torch.randint(0, 50, (5, 16), generator=torch.Generator().manual_seed(0))
    assert alone(llama(0), windows, 2) == pytest.approx(window_losses(llama(0), list(windows), "text", 2).loss, rel=1e-6)


def test_all_measures_stand_over_perplexity_and_tasks():
    taken = {"perplexity alone": 2.0, "tasks": 6.0, "with calibration": 2.1, "beside the dense model": 3.0, "continuations": 0.5}
    taken["overfitting"] = 0.5
    assert over(taken) == 10 / 8
    assert told(taken).splitlines()[-1].split() == ["all", "measures", "10.00", "s", "1.25", "×"]
