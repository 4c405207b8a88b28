"""Corrections: directions against autograd and explicit Kronecker inverses, the search for their size, and what is promised of a model."""

from __future__ import annotations

import copy
import math
import tempfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import drank.compression.correction
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.correction import (
    DOUBLINGS,
    FIRST,
    Direction,
    _direction,
    _directions,
    _search,
    correct,
    divergence_of,
    leaving_states,
)
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.models.residency import open_skeleton
from drank.steps.finite import NonFiniteError
from tests.unit.compressed_llama import SIDE, measured


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """The same with bases shared by two layers, and the last layer alone."""
    return measured(tmp_path_factory.mktemp("paired"), group=2)


def kl(model, dense, windows: torch.Tensor) -> torch.Tensor:
    """Summed over all predicted tokens."""
    wanted, found = (torch.distributions.Categorical(logits=one(windows).logits[:, :-1]) for one in (dense, model))
    return torch.distributions.kl_divergence(wanted, found).sum()


def kl_of_the_search(model, dense, windows: torch.Tensor) -> float:
    """Per predicted token of the last quarter of the windows, which the gradients do not see."""
    last = windows[-(len(windows) // 4) :]
    with torch.no_grad():
        return kl(model, dense, last).item() / last[:, 1:].numel()


def seen_by(model, dense, windows: torch.Tensor) -> dict[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]:
    """The mean of xxᵀ over tokens and of gᵀg over predicted tokens of every projection, g the gradient of the summed KL."""
    inputs, outputs, handles = {}, {}, []
    for layer, projection, module in projections_of(model):

        def hook(_module, args, output, key=(layer, projection.role)):
            inputs[key], outputs[key] = args[0].detach().flatten(0, -2), output

        handles.append(module.register_forward_hook(hook))
    gradients = torch.autograd.grad(kl(model, dense, windows), list(outputs.values()))
    for handle in handles:
        handle.remove()
    flat = {key: gradient.flatten(0, -2) for key, gradient in zip(outputs, gradients, strict=True)}
    predicted = windows[:, 1:].numel()
    return {key: (x.mT @ x / len(x), flat[key].mT @ flat[key] / predicted) for key, x in inputs.items()}


def damped(factor: torch.Tensor) -> torch.Tensor:
    return factor + 0.1 * factor.trace() / len(factor) * torch.eye(len(factor), dtype=factor.dtype)


def natural(inputs: torch.Tensor, gradient: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """(A ⊗ H)⁻¹ vec(∇), the Kronecker product written out, row by row of the gradient."""
    return torch.linalg.solve(torch.kron(inputs, outputs), gradient.flatten()).reshape(gradient.shape)


def measured_directions(model, toy, folder) -> dict[int, Direction]:
    """By the address of the parameter."""
    reference = leaving_states(toy.dense(), toy.windows)
    collect(model, toy.windows, folder / "gradients", {}, 5, reference=reference)
    calibrate(model, toy.windows, folder / "moments", {}, 5)
    return {one.parameter.data_ptr(): one for one in _directions(model, folder / "gradients", folder / "moments")}


@pytest.mark.parametrize("group", [1, 2])
def test_directions_are_those_of_autograd_on_the_factors_and_explicit_kronecker_inverses(group, toy, paired, tmp_path):
    """Every basis once, summed over the layers that share it; a projection that is stored dense is one factor."""
    one = toy if group == 1 else paired
    stored = [shape.name for shape in one.checkpoint.shapes(group) if shape.name in ("up.01", "up.02")]
    model, dense = one.compressed(one.plan(3, dense=stored)), one.dense()
    found = measured_directions(model, one, tmp_path)
    predicted = one.windows[:, 1:].numel()
    seen = seen_by(model, dense, one.windows)
    factors, owners = [], {}
    for layer, projection, module in projections_of(model):
        sides = [damped(side) for side in seen[layer, projection.role]]
        if isinstance(module, LowRankLinear):
            b, c = (part.weight.detach().mT for part in (module.basis, module.coefficients))
            factors.append((module.coefficients.weight, b.mT @ sides[0] @ b, sides[1]))
            owners.setdefault(id(module.basis), (module.basis.weight, []))[1].append((sides[0], c @ sides[1] @ c.mT))
        else:
            factors.append((module.weight, *sides))
    for weight, sides in owners.values():
        inputs = sum(inputs for inputs, _ in sides) / len(sides)
        factors.append((weight, inputs, sum(outputs for _, outputs in sides)))
    assert len(factors) == len(found) == (40 if group == 1 else 36)
    gradients = torch.autograd.grad(kl(model, dense, one.windows), [weight for weight, _, _ in factors])
    for (weight, inputs, outputs), gradient in zip(factors, gradients, strict=True):
        direction, expected = found[weight.data_ptr()], gradient.mT / predicted
        assert direction.parameter.shape == expected.shape and direction.step.dtype == torch.float32
        step = natural(inputs, expected, outputs)
        torch.testing.assert_close(direction.step.double(), step, rtol=1e-4, atol=1e-5 * step.abs().max().item())
        assert direction.slope == pytest.approx((step * expected).sum().item(), rel=1e-4)


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 1), (1, 0), (0, 0)])
def test_nothing_pulls_where_a_side_was_never_seen(inputs, outputs):
    found = _direction(torch.ones(2, 3), inputs * torch.eye(2), torch.ones(2, 3), outputs * torch.eye(3))
    assert not found.step.any() and found.step.shape == (2, 3) and found.slope == 0


def test_the_steps_of_a_projection_do_not_depend_on_how_it_is_split(toy, tmp_path):
    """B S and S⁻¹ C are the same map: what their steps change of it is the same."""
    changes = []
    for turned in (False, True):
        model = toy.compressed(toy.plan(3))
        module = model.model.layers[1].mlp.gate_proj
        b, c = (part.weight.detach().mT.clone() for part in (module.basis, module.coefficients))
        if turned:
            mix = torch.tensor([[2.0, 0.3, 0.0], [0.0, 1e-2, 0.1], [0.0, 0.0, 30.0]], dtype=torch.float64)
            b, c = b @ mix, torch.linalg.solve(mix, c)
            module.basis.weight.data, module.coefficients.weight.data = b.mT.contiguous(), c.mT.contiguous()
        found = measured_directions(model, toy, tmp_path / str(turned))
        steps = [found[part.weight.data_ptr()].step.double() for part in (module.basis, module.coefficients)]
        changes.append((steps[0] @ c, b @ steps[1]))
    for one, other in zip(*changes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * one.abs().max().item())


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_the_divergence_is_the_mean_over_predicted_tokens(batch, toy):
    model, dense = toy.compressed(toy.plan(3)), toy.dense()
    reference = leaving_states(dense, toy.windows, batch)
    with torch.no_grad():
        for windows in (toy.windows, toy.windows[:7]):
            expected = kl(model, dense, windows).item() / windows[:, 1:].numel()
            assert divergence_of(model, windows, reference, batch) == pytest.approx(expected, rel=1e-6)
    assert divergence_of(dense, toy.windows, reference, batch) == pytest.approx(0, abs=1e-12)


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
    found = correct(model, dense, one.windows, 3, batch=5)
    assert len(found) == 4 and found == sorted(found, reverse=True) and found[3] < 0.9 * found[0]
    assert kl_of_the_search(model, dense, one.windows) == pytest.approx(found[-1], rel=1e-6)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "basis" in name or "coefficients" in name}, "nothing but the factors moves"
    assert all(torch.equal(value, one.dense().state_dict()[name]) for name, value in dense.state_dict().items())


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (12, 3), (80, 16)])
def test_sizes_are_searched_on_the_last_windows_and_directions_come_from_the_others(count, kept, toy, monkeypatch):
    """Each with the states that the dense model leaves for it; one window alone serves both."""
    windows = torch.randint(0, 50, (count, 4), generator=torch.Generator().manual_seed(3))
    dense, passed = toy.dense(), []
    states = torch.stack(leaving_states(dense, windows))

    def gradients(_model, seen, *_args, reference, **_kwargs):
        passed.append(("seen", seen, torch.stack(reference[: len(seen)])))

    def divergence(_model, searched, reference, *_args):
        passed.append(("searched", searched, torch.stack(list(reference))))
        return 1.0

    monkeypatch.setattr(drank.compression.correction, "collect", gradients)
    monkeypatch.setattr(drank.compression.correction, "calibrate", lambda *_args: passed.append(("seen", _args[1], None)))
    monkeypatch.setattr(drank.compression.correction, "_directions", lambda *_args: [])
    monkeypatch.setattr(drank.compression.correction, "divergence_of", divergence)
    assert correct(toy.compressed(toy.plan(4)), dense, windows, 1) == [1.0, 1.0]
    assert [kind for kind, *_ in passed] == ["searched", "seen", "seen"]
    for kind, ids, reference in passed:
        at = slice(count - kept, None) if kind == "searched" else slice(0, count - kept if count > 1 else 1)
        assert torch.equal(ids, windows[at]) and (reference is None or torch.equal(reference, states[at]))


def test_what_is_stored_dense_is_corrected_too(toy):
    model = toy.compressed(toy.plan(4, dense=["v.01"]))
    before = matrix_of(model.model.layers[1].self_attn.v_proj).clone()
    found = correct(model, toy.dense(), toy.windows, 1)
    assert found[1] < found[0]
    assert not torch.equal(matrix_of(model.model.layers[1].self_attn.v_proj), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_model_that_is_the_dense_one_stays_it(dtype, tmp_path):
    """What rounding leaves of the divergence says nothing, so that nothing is done."""
    toy = measured(tmp_path, dtype=dtype)
    model, dense = toy.dense(), toy.dense()
    found = correct(model, dense, toy.windows, 3)
    assert all(abs(value) < 1e-6 for value in found)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, dense.state_dict()[name], rtol=0, atol=1e-4, msg=name)


def test_no_corrections_only_measure(toy):
    model = toy.compressed(toy.plan(4))
    before = copy.deepcopy(model).state_dict()
    found = correct(model, toy.dense(), toy.windows, 0)
    assert found == [pytest.approx(kl_of_the_search(model, toy.dense(), toy.windows), rel=1e-6)]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_runs_agree_in_every_bit_and_so_does_one_from_a_skeleton(toy):
    plan, states = toy.plan(4, dense=["o.01"]), []
    for dense in (toy.dense(), toy.dense(), open_skeleton(toy.directory)):
        model = toy.compressed(plan)
        torch.manual_seed(len(states))
        found = correct(model, dense, toy.windows, 2, batch=4)
        states.append((found, model.state_dict()))
    for found, state in states[1:]:
        assert found == states[0][0]
        assert all(torch.equal(value, states[0][1][name]) for name, value in state.items())


def test_where_no_size_helps_every_parameter_is_as_it_was_and_no_more_is_tried(toy, monkeypatch):
    model = toy.compressed(toy.plan(4, dense=["o.01"]))
    before, calls = copy.deepcopy(model).state_dict(), []

    def rising(*_args):
        calls.append(1)
        return float(len(calls))

    monkeypatch.setattr(drank.compression.correction, "divergence_of", rising)
    assert correct(model, toy.dense(), toy.windows, 5) == [1.0, 1.0]
    assert len(calls) == 2, "the start and one size"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("worse", [math.nan, math.inf])
def test_a_size_that_breaks_the_model_is_taken_back(worse, toy, monkeypatch):
    model = toy.compressed(toy.plan(4))
    before, values = copy.deepcopy(model).state_dict(), iter([1.0, worse])
    monkeypatch.setattr(drank.compression.correction, "divergence_of", lambda *_args: next(values))
    assert correct(model, toy.dense(), toy.windows, 1) == [1.0, 1.0]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@given(st.floats(0.01, 100), st.floats(0.01, 50), st.integers(0, 1000))
def test_sizes_double_from_a_fortieth_of_the_way_while_the_loss_falls(curvature, distance, seed):
    """On a parabola: the slope is known, the first size aims at a fortieth of the loss, and the best of those tried is taken."""
    generator = torch.Generator().manual_seed(seed)
    parameter, step = (torch.randn(3, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    start, tried = parameter.clone(), []

    def loss(*_args) -> float:
        moved = ((start - parameter) * step).sum() / (step * step).sum()
        tried.append(moved.item())
        return curvature * (distance - moved.item()) ** 2

    before = curvature * distance**2
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drank.compression.correction, "divergence_of", loss)
        taken, lowest = _search(None, [Direction(parameter, step, 2 * curvature * distance)], torch.zeros(1, 2), [], 1, before)
    first = 0.025 * before / (2 * curvature * distance)
    assert FIRST == 0.025 and tried == pytest.approx([first * 2**power for power in range(len(tried))], rel=1e-6)
    assert len(tried) <= DOUBLINGS + 1
    values = [curvature * (distance - size) ** 2 for size in tried]
    assert lowest == pytest.approx(min([before, *values]), rel=1e-6, abs=1e-9) and lowest < before
    torch.testing.assert_close(parameter, start - taken * step)


def test_a_direction_that_leads_up_is_not_tried(monkeypatch):
    monkeypatch.setattr(drank.compression.correction, "divergence_of", lambda *_args: pytest.fail("tried"))
    parameter, step = torch.ones(2, 2), torch.ones(2, 2)
    assert _search(None, [Direction(parameter, step, -1.0)], torch.zeros(1, 2), [], 1, 0.5) == (0.0, 0.5)
    assert torch.equal(parameter, torch.ones(2, 2))


def test_what_is_measured_on_the_way_is_gone_at_the_end_however_it_ends(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = toy.compressed(toy.plan(4))
    correct(model, toy.dense(), toy.windows, 1)
    assert not list(tmp_path.iterdir())
    model.model.layers[1].register_full_backward_hook(lambda _m, inputs, _o: tuple(value * math.inf for value in inputs))
    with pytest.raises(NonFiniteError, match="layer 1: the gradients of the loss inside the block are not finite"):
        correct(model, toy.dense(), toy.windows, 1)
    assert not list(tmp_path.iterdir())


def test_a_dense_model_that_is_not_finite_is_named(toy):
    dense = toy.dense()
    dense.model.layers[2].mlp.down_proj.weight.data[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="layer 2"):
        correct(toy.compressed(toy.plan(SIDE)), dense, toy.windows, 1)
