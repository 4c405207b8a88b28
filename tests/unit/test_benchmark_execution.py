"""The benchmark of execution has models of LLaMA's heads, and those of one share and of the next are not in memory together."""

from __future__ import annotations

import sys
import weakref

import pytest
import torch

from benchmarks import execution

TINY = ["--width", "64", "--inner", "64", "--gigabytes", "1e-9", "--dtype", "float32", "--kept", "0.5", "0.4", "--multiples", "1"]
TINY += ["--threads", "1"]  # which stay those of the tests after it


@pytest.mark.parametrize(("width", "heads"), [(2048, 32), (4096, 32), (5120, 40)])
def test_heads_are_as_wide_as_those_of_llama(width, heads):
    with torch.device("meta"):
        config = execution.dense_model(width, 64, 0.0, torch.bfloat16).config
    assert config.num_attention_heads == config.num_key_value_heads == heads


def test_models_that_hold_themselves_are_gone_before_the_next_are_made(monkeypatch, capsys):
    alive, seen = [], []
    optimize = execution.optimize

    def compiled(model, variant):
        made = optimize(model, "plain")
        made.forward = made.forward  # bound to it, as that of what is compiled is
        alive.append(weakref.ref(made))
        return made

    def measured(models, **_sizes):
        seen.append(sum(one() is not None for one in alive))
        return dict.fromkeys(models)

    monkeypatch.setattr(execution, "optimize", compiled)
    monkeypatch.setattr(execution, "measure", measured)
    monkeypatch.setattr(execution, "told", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["execution", *TINY])
    execution.main()
    assert seen == [2 + 2 * len(execution.MAKERS)] * 2, "two dense ones, and of each storage two"
