"""The passes of corrections: their gradients and the length of their steps, what is taken back, and narrow weights."""

from __future__ import annotations

import copy
import logging

import pytest
import torch

from drank.compression import gradient, passes
from drank.compression.correction import correct, divergence_of, leaving_states, moving
from drank.compression.gradient import leave_gradients
from drank.compression.passes import LONGER, RATE, Passes
from drank.models.families import projections_of
from drank.models.forward import removed
from drank.models.lowrank import LowRankLinear, sides_of
from tests.unit.compressed_llama import kl, measured


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(("batch", "at_once"), [(1, 2048), (3, 2048), (8, 2048), (8, 1)])
def test_gradients_are_those_of_the_summed_divergence_however_few_windows_run_at_once(group, batch, at_once, toy, paired, monkeypatch):
    one = toy if group == 1 else paired
    monkeypatch.setattr(gradient, "TOKENS_ON_A_CPU", at_once)
    model, dense = one.compressed(one.plan(4)), one.dense()
    chosen = [7, 0, 3, 5]
    with moving(model) as parameters:
        loss = leave_gradients(model, one.windows, leaving_states(dense, one.windows), chosen, batch)
        found = [parameter.grad for parameter in parameters]
        wanted = kl(model, dense, one.windows[chosen])
        expected = torch.autograd.grad(wanted, parameters)
    assert loss == pytest.approx(wanted.item() / one.windows[chosen][:, 1:].numel(), rel=1e-9)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9 * theirs.abs().max().item())


def test_only_factors_and_whole_projections_move_each_once_and_all_is_as_before_afterwards(paired):
    model = paired.compressed(paired.plan(4, dense=["o.02"]))
    model.model.norm.weight.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    with moving(model) as parameters:
        wanting = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
        assert wanting == {id(parameter) for parameter in parameters} and len(wanting) == len(parameters)
        names = {name for name, parameter in model.named_parameters() if id(parameter) in wanting}
        whole = [module for _, _, module in projections_of(model) if not isinstance(module, LowRankLinear)]
        assert {id(module.weight) for module in whole} <= wanting
        assert all("basis" in name or "coefficients" in name or "o_proj" in name for name in names)
        parameters[0].grad = torch.zeros_like(parameters[0])
    assert before == {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_blocks_of_large_models_alone_are_run_again_for_the_same_gradients_and_are_themselves_afterwards(toy, monkeypatch):
    model, reference, found = toy.compressed(toy.plan(4)), leaving_states(toy.dense(), toy.windows), []
    needed, shapes = gradient.read_and_given(model, toy.windows[:2].numel()), [sides_of(one) for _, _, one in projections_of(toy.dense())]
    assert needed == 8 * toy.windows[:2].numel() * sum(map(sum, shapes))
    for kept, attention in ((needed, "sdpa"), (needed - 1, "sdpa"), (needed, "eager")):
        monkeypatch.setattr(gradient, "KEPT", kept)
        monkeypatch.setattr(model.config, "_attn_implementation", attention)
        runs = []
        handles = [block.mlp.register_forward_pre_hook(lambda *_args, runs=runs: runs.append(1)) for block in model.model.layers]
        with removed(handles), moving(model) as parameters:
            leave_gradients(model, toy.windows, reference, [0, 1], 2)
            found.append([parameter.grad for parameter in parameters])
        assert len(runs) == len(handles) * (1 if (kept, attention) == (needed, "sdpa") else 2)
    assert all(map(torch.equal, *found[:2]))
    assert all("forward" not in vars(block) for block in model.model.layers)


def test_the_length_of_steps_goes_by_the_divergence_at_the_start_over_all_passes(toy, monkeypatch):
    asked, taken = [], []
    monkeypatch.setattr(passes, "learning_rate", lambda step, steps: asked.append((step, steps)) or 0.25)
    real = torch.optim.Adafactor.step
    monkeypatch.setattr(torch.optim.Adafactor, "step", lambda one: taken.append(one.param_groups[0]["lr"]) or real(one))
    found = correct(toy.compressed(toy.plan(4)), leaving_states(toy.dense(), toy.windows), toy.windows, 3)
    assert asked == [(step, 9) for step in range(9)]
    tried, taken = taken[:-9], taken[-9:]
    assert tried == pytest.approx([RATE * found[0] ** 0.5 / 2**halved for halved in range(len(tried))], rel=1e-12)
    assert taken == pytest.approx([min(tried[0], LONGER * tried[-1]) / 4] * 9, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("most", [RATE, 1.0, 8.0])
def test_the_longest_step_is_four_of_one_that_lowers_the_divergence_alone(most, dtype, tmp_path, monkeypatch):
    toy = measured(tmp_path, dtype=dtype)
    monkeypatch.setattr(passes, "RATE", most)
    model, dense = toy.compressed(toy.plan(4, dense=["o.01"])), toy.dense()
    reference = leaving_states(dense, toy.windows)
    before = divergence_of(model, toy.windows, reference)

    def alone(length: float) -> float:
        """The divergence after one step of Adafactor, written anew, on a copy."""
        copied = copy.deepcopy(model)
        with moving(copied) as parameters:
            first = torch.randperm(12, generator=torch.Generator().manual_seed(0))[:4].tolist()
            leave_gradients(copied, toy.windows, reference, first, 8)
            exact = [parameter.detach().to(torch.promote_types(dtype, torch.float32)) for parameter in parameters]
            for one, parameter in zip(exact, parameters, strict=True):
                squares = parameter.grad.to(one.dtype).square()
                rows, columns = squares.mean(1, keepdim=True), squares.mean(0, keepdim=True)
                update = parameter.grad.to(one.dtype) / (rows * columns / rows.mean()).sqrt()
                update /= max(1.0, update.square().mean().sqrt().item())
                parameter.data.copy_(one - length * one.square().mean().sqrt() * update)
        return divergence_of(copied, toy.windows, reference)

    length = longest = most * before**0.5
    while alone(length) >= before:
        length /= 2
    with moving(model) as parameters:
        start = [parameter.detach().clone() for parameter in parameters]
        one = Passes(parameters, tmp_path)
        one.begin()
        one.found = [before]
        one.choose_rate(model, toy.windows, reference, 8, lambda: divergence_of(model, toy.windows, reference))
        assert one.rate == pytest.approx(min(longest, LONGER * length), rel=1e-9)
        assert (length < longest) == (most > RATE)
        assert all(map(torch.equal, parameters, start)) and not one.optimizer.state
        assert all(weight.grad is None for weight in (*one.exact, *one.parameters))


def test_a_first_step_is_as_long_as_its_share_of_every_matrix(toy, monkeypatch, tmp_path):
    """At most: an update whose root mean square is above 1 is cut to it (arXiv:1804.04235, section 6), and no row is far below."""
    monkeypatch.setattr(passes, "learning_rate", lambda step, steps: 0.5)
    monkeypatch.setattr(passes, "WINDOWS", len(toy.windows))
    model = toy.compressed(toy.plan(4))
    with moving(model) as parameters:
        start = [parameter.detach().clone() for parameter in parameters]
        passes_ = Passes(parameters, tmp_path)
        passes_.found, passes_.rate = [1.0], RATE
        passes_.take(model, toy.windows, leaving_states(toy.dense(), toy.windows), 1, 8)
        for parameter, before in zip(parameters, start, strict=True):
            length = (parameter - before).square().mean().sqrt() / before.square().mean().sqrt()
            assert 0.3 * RATE / 2 < length < RATE / 2 * (1 + 1e-9)


def test_a_pass_reads_every_window_once_in_an_order_of_its_own(toy, monkeypatch):
    read = []
    real = leave_gradients

    def reading(model, windows, reference, chosen, batch):
        read.append(chosen)
        return real(model, windows, reference, chosen, batch)

    monkeypatch.setattr(passes, "leave_gradients", reading)
    correct(toy.compressed(toy.plan(4)), leaving_states(toy.dense(), toy.windows), toy.windows, 2)
    tried = read.pop(0)
    assert [len(chosen) for chosen in read] == [4, 4, 4] * 2 and tried == read[0]
    first, second = ([one for chosen in read[at : at + 3] for one in chosen] for at in (0, 3))
    assert sorted(first) == sorted(second) == list(range(12)) and first != second


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_what_did_not_lower_the_divergence_is_left_out(dtype, tmp_path, monkeypatch, caplog):
    toy = measured(tmp_path, dtype=dtype)
    model = toy.compressed(toy.plan(4, dense=["o.01"]))
    before = copy.deepcopy(model).state_dict()
    monkeypatch.setattr(Passes, "choose_rate", lambda one, *_: setattr(one, "rate", 3.0))
    with caplog.at_level(logging.WARNING):
        found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 2)
    assert found[-1] == found[0] < found[-2] and "left out" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_no_gradient_outlives_its_step(tmp_path):
    toy = measured(tmp_path, dtype=torch.bfloat16)
    model = toy.compressed(toy.plan(4))
    with moving(model) as parameters:
        one = Passes(parameters, tmp_path)
        one.found, one.rate = [1.0], RATE
        one.take(model, toy.windows, leaving_states(toy.dense(), toy.windows), 1, 8)
        assert all(weight.grad is None for weight in (*one.exact, *one.parameters))


def test_weights_of_16_bits_come_to_what_those_of_32_do(tmp_path, monkeypatch):
    """Steps of less than half the distance of two numbers add up in copies of float32; each alone would be lost."""
    toy = measured(tmp_path, dtype=torch.bfloat16)
    monkeypatch.setattr(passes, "RATE", 2e-3)
    narrow = toy.compressed(toy.plan(4))
    wide, before = copy.deepcopy(narrow).float(), copy.deepcopy(narrow).state_dict()
    found, expected = (correct(model, leaving_states(toy.dense().to(model.dtype), toy.windows), toy.windows, 6) for model in (narrow, wide))
    assert expected[0] - expected[-1] > 0.02 * expected[0]
    assert found[0] - found[-1] == pytest.approx(expected[0] - expected[-1], rel=0.3)
    assert all(value.dtype == before[name].dtype for name, value in narrow.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_has_no_gradient_stays(dtype, tmp_path):
    """A block whose attention gives nothing asks nothing of its queries, keys and values."""
    toy = measured(tmp_path, dtype=dtype)
    model, dense = toy.compressed(toy.plan(4)), toy.dense()
    for one in (model, dense):
        for name, parameter in one.named_parameters():
            if "layers.1.self_attn.o_proj" in name:
                parameter.data.zero_()
    before = copy.deepcopy(model).state_dict()
    found = correct(model, leaving_states(dense, toy.windows), toy.windows, 2)
    assert found[-1] < found[0]
    still = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in before if "layers.1.self_attn" in name} <= still
