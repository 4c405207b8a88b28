"""Every family: moments taken block by block are those of an ordinary forward pass, and a refit improves what it refits."""

from __future__ import annotations

import copy
import math
from collections import defaultdict

import pytest
import torch
from transformers import PreTrainedModel

from drank.factors import refit
from drank.families import blocks_of, family_of, module_path, projections_of
from drank.lowrank import LowRankLinear, convert
from drank.moments import NonFiniteError, calibrate, open_stream, run_block
from drank.sources import Checkpoint


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    """Seven windows of 20 ids, longer than the sliding windows; batches of 3 leave a last one of 1."""
    return torch.randint(0, 250, (7, 20), generator=torch.Generator().manual_seed(3))


def inputs_of(model: PreTrainedModel, windows: torch.Tensor) -> dict[tuple[int, str], torch.Tensor]:
    """What every projection reads, (tokens, d1) in float64 by layer and role, in one ordinary forward pass over all windows."""
    seen: dict[tuple[int, str], list[torch.Tensor]] = defaultdict(list)
    handles = []
    for layer, projection, module in projections_of(model):

        def hook(_module, args, _output, key=(layer, projection.role)):
            seen[key].append(args[0].detach().double().flatten(0, -2))

        handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return {key: torch.cat(parts) for key, parts in seen.items()}


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_moments_are_those_of_an_ordinary_forward_pass(family, batch, tiny_model, windows):
    model = tiny_model(family)
    inputs = inputs_of(model, windows)
    found = list(calibrate(model, windows, batch))
    assert len(found) == model.config.num_hidden_layers
    for layer, grams in enumerate(found):
        assert set(grams) == {projection.reads for projection in family_of(family).projections}
        for projection in family_of(family).projections:
            x, gram = inputs[layer, projection.role], grams[projection.reads]
            assert x.shape[0] == windows.numel() and gram.dtype == torch.float64
            expected = x.T @ x
            torch.testing.assert_close(gram, expected, rtol=1e-4, atol=1e-5 * expected.diag().max().item())
            assert torch.equal(gram, gram.mT)


def test_projections_that_share_an_input_read_the_very_same_values(family, tiny_model, windows):
    inputs = inputs_of(tiny_model(family), windows)
    by_input = defaultdict(list)
    for projection in family_of(family).projections:
        by_input[projection.reads].append(inputs[1, projection.role])
    assert all(torch.equal(first, other) for first, *others in by_input.values() for other in others)
    heads = [values[0] for values in by_input.values()]
    assert all(a.shape != b.shape or not torch.equal(a, b) for i, a in enumerate(heads) for b in heads[:i])


def test_hidden_states_streamed_through_the_blocks_are_the_models_own(family, tiny_model, windows):
    """In windows of any batch, although the other arguments of a block come from a single window."""
    model = tiny_model(family)
    own: dict[int, torch.Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _m, _a, out, i=i: own.__setitem__(i, out[0] if isinstance(out, tuple) else out))
        for i, block in enumerate(blocks_of(model))
    ]
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    stream = open_stream(model, windows, 3)
    assert [len(states) for states in stream.states] == [3, 3, 1]
    for layer, block in enumerate(blocks_of(model)):
        stream.states = run_block(block, layer, stream)
        torch.testing.assert_close(torch.cat(stream.states), own[layer], rtol=1e-4, atol=1e-4)


def test_calibration_leaves_no_hook_and_no_change_behind(family, tiny_model, windows):
    model = tiny_model(family)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        logits = model(windows).logits
    list(calibrate(model, windows, 3))
    assert all(not module._forward_pre_hooks and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(model(windows).logits, logits)


def test_weights_that_are_not_numbers_name_the_layer(family, tiny_model, windows):
    model = tiny_model(family)
    model.get_submodule(module_path(family, 1, "o")).weight.data[2, 3] = math.nan
    found = []
    with pytest.raises(NonFiniteError, match=r"layer 1: .*not finite.*float32.*damaged weights"):
        found.extend(calibrate(model, windows, 3))


def test_damaged_embeddings_are_found_in_the_first_layer(family, tiny_model, windows):
    model = tiny_model(family)
    model.get_input_embeddings().weight.data[windows[5, 2]] = math.inf
    with pytest.raises(NonFiniteError, match="layer 0: "):
        list(calibrate(model, windows, 3))


@pytest.mark.parametrize("group", [1, 2])
def test_refit_gives_every_layer_the_best_coefficients_for_its_own_inputs(
    family, group, tiny_model, tiny_plan, svd_factors, windows, tmp_path
):
    """The inputs of a block are those that its refitted predecessors produce; the bases stay, shared as they were."""
    dense = tiny_model(family)
    dense.save_pretrained(tmp_path / "dense")
    model = tiny_model(family)
    plan = tiny_plan(model, group=group, keep=0.4, dense=("down",))
    convert(model, plan, svd_factors(model, plan))
    before, checkpoint = copy.deepcopy(model), Checkpoint(tmp_path / "dense")
    refit(model, checkpoint, windows, batch=3)
    hybrid, better = copy.deepcopy(before), 0
    for layer in range(model.config.num_hidden_layers):
        inputs = inputs_of(hybrid, windows)
        for projection in family_of(family).projections:
            path = module_path(family, layer, projection.role)
            old, new = before.get_submodule(path), model.get_submodule(path)
            if not isinstance(new, LowRankLinear):
                assert projection.role == "down" and torch.equal(old.weight, new.weight)
                continue
            x, matrix = inputs[layer, projection.role], checkpoint.matrix(layer, projection.role)
            basis = new.basis.weight.detach().double().T
            assert torch.equal(old.basis.weight, new.basis.weight)
            errors = [torch.linalg.norm(x @ (matrix - basis @ m.coefficients.weight.detach().double().T)) for m in (old, new)]
            best = torch.linalg.lstsq(x @ basis, x @ matrix).solution
            assert errors[1] <= errors[0] * (1 + 1e-5)
            assert errors[1] <= torch.linalg.norm(x @ (matrix - basis @ best)) * (1 + 1e-3)
            better += int(errors[1] < 0.99 * errors[0])
            hybrid.get_submodule(path).coefficients.load_state_dict(new.coefficients.state_dict())
    assert better > len(plan.groups) / 2, "plain SVD leaves the refit something to gain"
    assert model.config.quantization_config == before.config.quantization_config
