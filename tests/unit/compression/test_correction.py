"""Corrections: the divergence that they lower, and what is promised of a model."""

from __future__ import annotations

import copy
import math
import tempfile

import pytest
import torch

from drank.compression.correction import MEASURED, correct, divergence_of, leaving_states
from drank.compression.refits import TOLD
from drank.models.lowrank import matrix_of
from drank.models.residency import open_skeleton
from drank.runtime.finite import NonFiniteError
from tests.unit.compressed_llama import SIDE, kl, measured


def kl_at_the_end(model, dense, windows: torch.Tensor) -> float:
    """Per predicted token of the last windows, as many as are measured."""
    last = windows[-MEASURED:]
    with torch.no_grad():
        return kl(model, dense, last).item() / last[:, 1:].numel()


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_the_divergence_is_the_mean_over_predicted_tokens(batch, toy):
    model, dense = toy.compressed(toy.plan(3)), toy.dense()
    reference = leaving_states(dense, toy.windows, batch)
    with torch.no_grad():
        for windows in (toy.windows, toy.windows[:7]):
            expected = kl(model, dense, windows).item() / windows[:, 1:].numel()
            assert divergence_of(model, windows, reference, batch) == pytest.approx(expected, rel=1e-6)
    assert divergence_of(dense, toy.windows, reference, batch) == pytest.approx(0, abs=1e-12)


def test_the_divergence_is_of_the_last_windows_beside_their_own_states(toy):
    """With more windows than are measured, those of the reference are cut alike: each beside the states of another is no divergence."""
    windows = torch.randint(0, 50, (MEASURED + 5, 10), generator=torch.Generator().manual_seed(9))
    model, dense = toy.compressed(toy.plan(4)), toy.dense()
    (found,) = correct(model, leaving_states(dense, windows, 5), windows, 0)
    assert found == pytest.approx(kl_at_the_end(model, dense, windows), rel=1e-6)
    with torch.no_grad():
        assert found != pytest.approx(kl(model, dense, windows).item() / windows[:, 1:].numel(), rel=1e-4), "not of all windows"


def test_leaving_states_are_those_of_a_whole_pass_and_of_a_skeleton(toy):
    dense, found = toy.dense(), []
    handle = dense.model.layers[-1].register_forward_hook(lambda _m, _a, output: found.append(output))
    with torch.no_grad():
        dense(toy.windows)
    handle.remove()
    states = leaving_states(dense, toy.windows, 5)
    assert len(states) == len(toy.windows)
    torch.testing.assert_close(torch.stack(states), found[0], rtol=1e-9, atol=1e-9)
    assert all(map(torch.equal, states, leaving_states(open_skeleton(toy.directory), toy.windows, 5)))


@pytest.mark.parametrize("group", [1, 2])
def test_corrections_lower_the_divergence_and_report_what_is_there(group, toy, paired):
    one = toy if group == 1 else paired
    model, dense = one.compressed(one.plan(4)), one.dense()
    before = copy.deepcopy(model).state_dict()
    found = correct(model, leaving_states(dense, one.windows, 5), one.windows, 3, batch=5)
    assert len(found) == 4 and found[3] < 0.9 * found[0]
    assert kl_at_the_end(model, dense, one.windows) == pytest.approx(found[-1], rel=1e-6)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "basis" in name or "coefficients" in name}, "nothing but the factors moves"
    assert all(torch.equal(value, one.dense().state_dict()[name]) for name, value in dense.state_dict().items())


def test_what_is_stored_dense_is_corrected_too(toy):
    model = toy.compressed(toy.plan(4, dense=["v.01"]))
    before = matrix_of(model.model.layers[1].self_attn.v_proj).clone()
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
    assert found[1] < found[0]
    assert not torch.equal(matrix_of(model.model.layers[1].self_attn.v_proj), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_model_that_is_the_dense_one_stays_it(dtype, tmp_path):
    """What rounding leaves of the divergence says nothing."""
    toy = measured(tmp_path, dtype=dtype)
    model, dense = toy.dense(), toy.dense()
    found = correct(model, leaving_states(dense, toy.windows), toy.windows, 3)
    assert abs(found[0]) < 1e-6 and found[-1] == found[0]
    assert all(torch.equal(value, dense.state_dict()[name]) for name, value in model.state_dict().items())


def test_no_corrections_only_measure(toy):
    model = toy.compressed(toy.plan(4))
    before = copy.deepcopy(model).state_dict()
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 0)
    assert found == [pytest.approx(kl_at_the_end(model, toy.dense(), toy.windows), rel=1e-6)]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_runs_agree_in_every_bit_and_so_does_one_from_a_skeleton(toy):
    plan, states = toy.plan(4, dense=["o.01"]), []
    for dense in (toy.dense(), toy.dense(), open_skeleton(toy.directory)):
        model = toy.compressed(plan)
        torch.manual_seed(len(states))
        found = correct(model, leaving_states(dense, toy.windows, 4), toy.windows, 2, batch=4)
        states.append((found, model.state_dict()))
    for found, state in states[1:]:
        assert found == states[0][0]
        assert all(torch.equal(value, states[0][1][name]) for name, value in state.items())


def test_what_is_measured_on_the_way_is_gone_at_the_end_however_it_ends(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = toy.compressed(toy.plan(4))
    correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
    assert not list(tmp_path.iterdir())
    model.model.layers[1].register_full_backward_hook(lambda _m, inputs, _o: tuple(value * math.inf for value in inputs))
    with pytest.raises(NonFiniteError, match="after the first step of a correction, however short, the divergence is nan; run in float32"):
        correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
    assert not list(tmp_path.iterdir())


def test_a_dense_model_that_is_not_finite_is_named(toy):
    dense = toy.dense()
    dense.model.layers[2].mlp.down_proj.weight.data[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="layer 2"):
        correct(toy.compressed(toy.plan(SIDE)), leaving_states(dense, toy.windows), toy.windows, 1)


def test_states_of_the_dense_model_that_are_not_finite_are_refused(toy):
    reference = leaving_states(toy.dense(), toy.windows)
    reference[-1][-1, -1] = math.inf
    with pytest.raises(NonFiniteError, match="what leaves the last block of the dense model is not finite; run in float32"):
        correct(toy.compressed(toy.plan(SIDE)), reference, toy.windows, 1)


@pytest.mark.parametrize("refit", TOLD)
def test_a_refit_hands_on_what_leaves_the_dense_model(refit, toy):
    plan = toy.plan(4, dense=["v.01"])
    found = TOLD[refit](toy.compressed(plan), open_skeleton(toy.directory), plan, toy.spectra, toy.windows, 5)
    states = leaving_states(toy.dense(), toy.windows, 5)
    assert len(found) == len(states) and all(map(torch.equal, found, states))


@pytest.mark.parametrize(("broken", "told"), [("model.layers.1.mlp.up_proj.weight", "layer 1"), ("lm_head.weight", "the logits are not")])
def test_a_compressed_model_that_is_not_finite_is_named_before_the_first_step(broken, told, toy):
    model = toy.compressed(toy.plan(4, dense=["up.01"]))
    model.get_parameter(broken).data[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match=told):
        correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
