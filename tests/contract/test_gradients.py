"""Every family: gradients taken block by block are those of autograd on the whole model."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import torch
from transformers import PreTrainedModel

from drank.calibration.gradients import collect, read_gradients
from drank.models.checkpoint import load_model
from drank.models.families import family_of, projections_of
from drank.models.residency import open_skeleton
from drank.runtime.files import file_hash, read_json


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    """Five windows of 20 ids, longer than the sliding windows; batches of 3 leave a last one of 2."""
    return torch.randint(0, 250, (5, 20), generator=torch.Generator().manual_seed(5))


def watched_loss(model: PreTrainedModel, window: torch.Tensor) -> tuple[torch.Tensor, dict[tuple[int, str], torch.Tensor]]:
    """The summed next-token loss of one window in one ordinary forward pass, and what every projection gave."""
    given = {}
    handles = [
        module.register_forward_hook(lambda _m, _a, out, key=(layer, p.role): given.__setitem__(key, out))
        for layer, p, module in projections_of(model)
    ]
    loss = torch.nn.functional.cross_entropy(model(window[None]).logits[0, :-1], window[1:], reduction="sum")
    for handle in handles:
        handle.remove()
    return loss, given


def references(model: PreTrainedModel, windows: torch.Tensor) -> tuple[float, dict, dict, dict]:
    """Loss per token, and by layer and role: its gradient (d1, d2), gᵀg by hand and the Fisher rows, window by window in float64."""
    weights = {(layer, p.role): (module.weight, p.transposed) for layer, p, module in projections_of(model)}
    weight, rows, outputs = defaultdict(float), defaultdict(float), defaultdict(float)
    losses, each = [], windows.shape[1] - 1
    for window in windows:
        loss, given = watched_loss(model, window)
        of_weights = torch.autograd.grad(loss, [w for w, _ in weights.values()], materialize_grads=True, retain_graph=True)
        of_outputs = torch.autograd.grad(loss, list(given.values()))
        losses.append(loss.item() / each)
        for (key, (_, transposed)), gradient in zip(weights.items(), of_weights, strict=True):
            matrix = (gradient if transposed else gradient.mT) / each
            weight[key] += matrix / len(windows)
            rows[key] += matrix.square().sum(1) / len(windows)
        for key, gradient in zip(given, of_outputs, strict=True):
            g = gradient.flatten(0, -2)
            outputs[key] += g.mT @ g / (len(windows) * each)
    return math.fsum(losses) / len(losses), weight, outputs, rows


@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_are_those_of_autograd_on_the_whole_model(family, batch, tiny_model, windows, tmp_path):
    model = tiny_model(family, dtype=torch.float64)
    loss, weight, outputs, rows = references(model, windows)
    collect(model, windows, tmp_path / "gradients", {"seed": 5}, batch)
    assert [path.name for path in tmp_path.iterdir()] == ["gradients"]
    facts = read_json(tmp_path / "gradients/facts.json")
    tokens = windows.numel()
    assert facts == {"seed": 5, "loss": pytest.approx(loss, rel=1e-12), "tokens": tokens, "tokens_read": tokens}
    for layer, projection, module in projections_of(model):
        key = layer, projection.role
        d1, d2 = module.weight.shape if projection.transposed else module.weight.mT.shape
        found = {name: read_gradients(tmp_path / "gradients", layer, projection.role + name) for name in ("", ".outputs", ".rows")}
        for name, reference, shape in (("", weight, (d1, d2)), (".outputs", outputs, (d2, d2)), (".rows", rows, (d1,))):
            expected = reference.get(key, torch.zeros(shape, dtype=torch.float64))
            assert found[name].shape == shape and found[name].dtype == torch.float64
            torch.testing.assert_close(found[name], expected, rtol=1e-9, atol=1e-9 * max(expected.abs().max().item(), 1e-30))
        assert torch.equal(found[".outputs"], found[".outputs"].mT)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not module._forward_hooks and "forward" not in vars(module) for module in model.modules())


def test_a_skeleton_has_the_gradients_of_the_whole_model(family, tiny_model, windows, tmp_path):
    tiny_model(family).save_pretrained(tmp_path / "dense")
    collect(load_model(tmp_path / "dense"), windows, tmp_path / "whole", {}, 3)
    collect(open_skeleton(tmp_path / "dense"), windows, tmp_path / "skeleton", {}, 3)
    assert file_hash(tmp_path / "whole") == file_hash(tmp_path / "skeleton")
    assert read_gradients(tmp_path / "whole", 0, "o").dtype == torch.float32


def test_an_expert_that_no_token_reaches_has_zeros(tiny_model, windows, tmp_path):
    """Never a missing tensor: the router is made to prefer the first two of four experts always."""
    from drank.calibration.moments import calibrate, read_moments

    model = tiny_model("mixtral")
    for name, parameter in model.named_parameters():
        if name.endswith("mlp.gate.weight"):
            parameter.data.zero_()
    calibrate(model, windows, tmp_path / "moments", {})
    collect(model, windows, tmp_path / "gradients", {})
    reached = {p.role for p in family_of(model.config).projections if read_gradients(tmp_path / "gradients", 0, p.role).any()}
    experts = [p for p in family_of(model.config).projections if "." in p.role]
    assert len([p for p in experts if p.role in reached]) == 6
    for projection in experts:
        for name in (projection.reads, f"{projection.reads}.absolute"):
            assert bool(read_moments(tmp_path / "moments", 0, name).any()) == (projection.role in reached)
        for name in (".outputs", ".rows"):
            assert bool(read_gradients(tmp_path / "gradients", 0, projection.role + name).any()) == (projection.role in reached)
