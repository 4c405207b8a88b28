"""Gradients on disk: references, resuming, and the errors; what they are for each family is a contract test."""

from __future__ import annotations

import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

from drank.calibration.gradients import collect, read_gradients
from drank.calibration.layer_files import SEEN
from drank.runtime.files import file_hash, read_json
from drank.runtime.finite import NonFiniteError
from tests.unit.interrupted import LAYERS, PLACES, Killed, kill_after, small_llama, windows


def test_gradients_predict_what_a_small_change_of_a_weight_does(tmp_path):
    model, ids = small_llama(torch.float64), windows()
    collect(model, ids, tmp_path / "gradients", {"seed": 2})
    loss = read_json(tmp_path / "gradients/facts.json")["loss"]
    for layer, role, name in PLACES:
        gradient = read_gradients(tmp_path / "gradients", layer, role)
        weight = model.model.layers[layer].get_submodule(name).weight
        step = gradient.mT * (1e-3 / gradient.norm())
        with torch.no_grad():
            weight += step
            changed = model(ids, labels=ids).loss.item() - loss
            weight -= step
        assert changed == pytest.approx((gradient.mT * step).sum().item(), rel=0.02)


def names_and_values(folder):
    return [load_file(folder / f"layer-{layer:03d}.safetensors") for layer in range(LAYERS)]


def test_what_nobody_reads_is_left_out_and_all_else_is_the_same(tmp_path):
    """Moments at the outputs where no weighting reads them, of the likeliest tokens all else, of single windows all but their factors."""
    for labels, outputs in (("text", True), ("text", False), ("likeliest", True), ("likeliest", False), ("windows", True)):
        collect(small_llama(), windows(), tmp_path / f"{labels}-{outputs}", {}, labels=labels, outputs=outputs)
    whole, without = (names_and_values(tmp_path / f"text-{outputs}") for outputs in (True, False))
    for found, wanted in zip(without, whole, strict=True):
        assert found.keys() == {name for name in wanted if not name.endswith(".outputs")} != wanted.keys()
        assert all(torch.equal(values, wanted[name]) for name, values in found.items())
    for found, same in zip(names_and_values(tmp_path / "likeliest-True"), names_and_values(tmp_path / "likeliest-False"), strict=True):
        assert all(name.endswith((".outputs", SEEN)) for name in found) and found.keys() == same.keys()
    for found in names_and_values(tmp_path / "windows-True"):
        assert all(name.endswith((".fitted.inputs", ".fitted.outputs", SEEN)) for name in found)


def test_a_killed_backward_pass_goes_on_where_it_was_with_the_same_result(tmp_path, monkeypatch):
    """Killed before any of the moves and removals that it makes, forward and backward."""
    model = small_llama()
    with monkeypatch.context() as patched:
        events = kill_after(patched, 1000)
        collect(model, windows(), tmp_path / "whole", {"seed": 2}, 2)
    assert len(events) > 5 * LAYERS
    for event in range(len(events)):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            kill_after(patched, event)
            collect(model, windows(), tmp_path / "killed", {"seed": 2}, 2)
        assert not (tmp_path / "killed").exists()
        with monkeypatch.context() as patched:
            redone = kill_after(patched, 1000)
            collect(model, windows(), tmp_path / "killed", {"seed": 2}, 2)
        finished = {done for done in events[:event] if "layer" in done}
        assert not finished & set(redone), "a layer that was finished is not done again"
        assert file_hash(tmp_path / "killed") == file_hash(tmp_path / "whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
        shutil.rmtree(tmp_path / "killed")


def changed(model):
    """A copy with other projections in all blocks."""
    with torch.no_grad():
        for index, module in enumerate(model.model.layers.modules()):
            if isinstance(module, torch.nn.Linear):
                noise = torch.randn(module.weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(index))
                module.weight += 0.1 * noise
    return model


def test_partial_work_for_other_facts_is_discarded(tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        kill_after(patched, 8)
        collect(small_llama(), windows(), tmp_path / "gradients", {"seed": 1})
    collect(small_llama(), windows().flip(0), tmp_path / "gradients", {"seed": 2})
    collect(small_llama(), windows().flip(0), tmp_path / "fresh", {"seed": 2})
    assert file_hash(tmp_path / "gradients") == file_hash(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "gradients"]


def test_windows_that_predict_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="windows of one token predict nothing; set `length`"):
        collect(small_llama(), windows()[:, :1], tmp_path / "gradients", {})


def test_a_head_that_is_not_finite_is_named_with_the_remedy(tmp_path):
    model = small_llama()
    model.lm_head.weight.data[3] = math.inf
    with pytest.raises(NonFiniteError, match=r"the loss that follows the last block.*not finite in torch.float32; run in float32"):
        collect(model, windows(), tmp_path / "gradients", {})


def test_gradients_that_are_not_finite_name_the_layer(tmp_path):
    """Forward everything is finite; backward the gradient overflows half precision in the middle block."""
    model = small_llama()
    model.model.layers[1].register_full_backward_hook(lambda _m, inputs, _o: tuple(value * math.inf for value in inputs))
    with pytest.raises(NonFiniteError, match="layer 1: the gradients of the loss inside the block are not finite"):
        collect(model, windows(), tmp_path / "gradients", {})
