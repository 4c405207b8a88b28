"""The pass that fits Kronecker factors to single windows: against automatic differentiation, interrupted, and where it cannot be."""

import numpy as np
import pytest
import torch

from drank.calibration.fisher_fit import kronecker_factors
from drank.calibration.gradients import collect, read_gradients
from drank.calibration.passes import INPUT_SIDE, OUTPUT_SIDE
from drank.runtime.files import file_hash
from drank.runtime.shares import Share
from tests.unit.interrupted import PLACES, Killed, kill_after, small_llama, windows


def test_factors_fit_the_gradients_of_the_mean_loss_of_each_window(tmp_path):
    model, ids = small_llama(torch.float64), windows()
    collect(model, ids, tmp_path / "found", {}, 2, labels="windows")
    for layer, role, name in PLACES:
        weight = model.model.layers[layer].get_submodule(name).weight
        each = torch.stack([torch.autograd.grad(model(one[None], labels=one[None]).loss, weight)[0].mT for one in ids])
        for side, wanted in zip((INPUT_SIDE, OUTPUT_SIDE), kronecker_factors(each), strict=True):
            found = read_gradients(tmp_path / "found", layer, f"{role}.{side}")
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-6 * float(wanted.norm()))  # its loss is float32


def test_an_interrupted_pass_goes_on_with_the_same_result(tmp_path, monkeypatch):
    model = small_llama()
    with monkeypatch.context() as patched:
        events = kill_after(patched, 1000)
        collect(model, windows(), tmp_path / "whole", {}, 2, labels="windows")
    for event in range(0, len(events), 3):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            kill_after(patched, event)
            collect(model, windows(), tmp_path / "killed", {}, 2, labels="windows")
        collect(model, windows(), tmp_path / "again", {}, 2, labels="windows")
        collect(model, windows(), tmp_path / "killed", {}, 2, labels="windows")
        assert file_hash(tmp_path / "killed") == file_hash(tmp_path / "again") == file_hash(tmp_path / "whole")
        assert not (tmp_path / "killed/work").exists()


def test_a_share_of_the_windows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no sums over shares"):
        collect(small_llama(), windows(), tmp_path / "part", {}, 2, labels="windows", share=Share.named("1-of-2"))
