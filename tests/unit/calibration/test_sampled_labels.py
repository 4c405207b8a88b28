"""Gradients of sampled labels: the same draws however a pass is cut, and the Fisher matrix in the mean."""

from __future__ import annotations

import shutil

import pytest
import torch

from drank.calibration.gradients import collect, read_gradients
from drank.runtime.files import file_hash, read_json
from tests.unit.interrupted import PLACES, Killed, kill_after, small_llama, windows


def second_moment(model, ids: torch.Tensor, labels: torch.Tensor, name: str) -> torch.Tensor:
    """Mean over predicted tokens of gᵀg at the output of a module, by one ordinary pass for each window."""
    total, given = 0.0, []
    handle = model.get_submodule(name).register_forward_hook(lambda _m, _a, output: given.append(output))
    for window, wanted in zip(ids, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(model(window[None]).logits[0, :-1], wanted, reduction="sum")
        (g,) = torch.autograd.grad(loss, given.pop())
        total += g[0].mT @ g[0]
    handle.remove()
    return total / labels.numel()


def labels_drawn(model, ids: torch.Tensor, seed: int) -> torch.Tensor:
    """The draws of every window, from the logits of the whole model."""
    found = []
    for window, one in enumerate(ids):
        levels = torch.rand(ids.shape[1] - 1, 1, generator=torch.Generator().manual_seed(seed * 1_000_003 + window))
        shares = model(one[None]).logits[0, :-1].detach().float().softmax(-1)
        found.append((shares.cumsum(-1) <= levels).sum(-1))
    return torch.stack(found)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_sampled_labels_are_the_same_draws_in_whatever_batches(batch, tmp_path):
    model, ids = small_llama(torch.float64), windows()
    labels = labels_drawn(model, ids, 3)
    assert not torch.equal(labels, ids[:, 1:])
    collect(model, ids, tmp_path / "gradients", {}, batch, labels="sampled", seed=3)
    for layer, role, name in PLACES:
        expected = second_moment(model, ids, labels, f"model.layers.{layer}.{name}")
        torch.testing.assert_close(read_gradients(tmp_path / "gradients", layer, f"{role}.outputs"), expected, rtol=1e-9, atol=1e-12)
    logits = model(ids).logits[:, :-1].flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, labels.flatten()).item()
    assert read_json(tmp_path / "gradients/facts.json")["loss"] == pytest.approx(loss, rel=1e-9)


def test_a_killed_pass_draws_the_same_labels_when_it_goes_on(tmp_path, monkeypatch):
    model = small_llama()
    collect(model, windows(), tmp_path / "whole", {}, 2, labels="sampled")
    for event in (1, 6, 9, 13):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            kill_after(patched, event)
            collect(model, windows(), tmp_path / "killed", {}, 2, labels="sampled")
        torch.manual_seed(event)
        collect(model, windows(), tmp_path / "killed", {}, 2, labels="sampled")
        assert file_hash(tmp_path / "killed") == file_hash(tmp_path / "whole")
        shutil.rmtree(tmp_path / "killed")


@pytest.mark.parametrize("other", [{"labels": "text"}, {"labels": "sampled", "seed": 14}])
def test_partial_work_for_other_labels_is_discarded(other, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        kill_after(patched, 9)
        collect(small_llama(), windows(), tmp_path / "gradients", {}, labels="sampled")
    collect(small_llama(), windows(), tmp_path / "gradients", {}, **other)
    collect(small_llama(), windows(), tmp_path / "fresh", {}, **other)
    assert file_hash(tmp_path / "gradients") == file_hash(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "gradients"]


def exact_fisher(model, window: torch.Tensor, name: str) -> torch.Tensor:
    """Mean over predicted tokens of E[gᵀg], by enumeration: labels are drawn apart, so that only the same token's meet in the mean."""
    given = []
    handle = model.get_submodule(name).register_forward_hook(lambda _m, _a, output: given.append(output))
    losses = -model(window[None]).logits[0, :-1].log_softmax(-1)
    handle.remove()
    total = 0.0
    for position in losses:
        for loss in position:
            (g,) = torch.autograd.grad(loss, given[0], retain_graph=True)
            total += (-loss).exp().item() * g[0].mT @ g[0]
    return total / len(losses)


def test_sampled_labels_give_the_fisher_matrix_in_the_mean_and_the_texts_do_not(tmp_path):
    """One window 500 times: other draws each time, and in the mean what enumerating the vocabulary gives."""
    model = small_llama(torch.float64, vocab_size=9, hidden_size=4, intermediate_size=6)
    ids = torch.tensor([[1, 5, 2, 7]])
    collect(model, ids.repeat(500, 1), tmp_path / "sampled", {}, 500, labels="sampled")
    collect(model, ids, tmp_path / "text", {})
    for layer, role, name in ((0, "v", "self_attn.v_proj"), (1, "gate", "mlp.gate_proj"), (2, "down", "mlp.down_proj")):
        exact = exact_fisher(model, ids[0], f"model.layers.{layer}.{name}")
        gaps = [(read_gradients(tmp_path / kind, layer, f"{role}.outputs") - exact).norm() / exact.norm() for kind in ("sampled", "text")]
        assert gaps[0] < 0.15 and gaps[1] > 2 * gaps[0]


def test_unknown_labels_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="labels 'drawn' are unknown; known: text, sampled"):
        collect(small_llama(), windows(), tmp_path / "gradients", {}, labels="drawn")
    assert not list(tmp_path.iterdir())
