"""The directions of a correction against autograd and explicit Kronecker inverses."""

from __future__ import annotations

import pytest
import torch

from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.correction import leaving_states
from drank.compression.directions import Direction, _direction, directions_of
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear
from tests.unit.compressed_llama import kl


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


def measureddirections_of(model, toy, folder) -> dict[int, Direction]:
    """By the address of the parameter."""
    reference = leaving_states(toy.dense(), toy.windows)
    collect(model, toy.windows, folder / "gradients", {}, 5, reference=reference)
    calibrate(model, toy.windows, folder / "moments", {}, 5)
    return {one.parameter.data_ptr(): one for one in directions_of(model, folder / "gradients", folder / "moments")}


@pytest.mark.parametrize("group", [1, 2])
def test_directions_are_those_of_autograd_on_the_factors_and_explicit_kronecker_inverses(group, toy, paired, tmp_path):
    """Every basis once, summed over the layers that share it; a projection that is stored dense is one factor."""
    one = toy if group == 1 else paired
    stored = [shape.name for shape in one.checkpoint.shapes(group) if shape.name in ("up.01", "up.02")]
    model, dense = one.compressed(one.plan(3, dense=stored)), one.dense()
    found = measureddirections_of(model, one, tmp_path)
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
        found = measureddirections_of(model, toy, tmp_path / str(turned))
        steps = [found[part.weight.data_ptr()].step.double() for part in (module.basis, module.coefficients)]
        changes.append((steps[0] @ c, b @ steps[1]))
    for one, other in zip(*changes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * one.abs().max().item())
