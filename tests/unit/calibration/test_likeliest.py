"""IO-SVD's output side: the curvature of the divergence over the likeliest tokens, against automatic differentiation."""

import pytest
import torch

from drank.calibration import gradients as module
from drank.calibration.gradients import collect, read_gradients
from drank.calibration.losses import hadamard_signs, likeliest_loss
from tests.unit.interrupted import PLACES, small_llama

TOKENS, LIKELY, PROBES = 5, 3, 16
"""4 tokens are predicted, over 3 likeliest ones each: 12 columns, for which a Hadamard matrix of 16 rows is enough."""


def curvature(logits: torch.Tensor, likely: int) -> torch.Tensor:
    """The Hessian of KL(q ‖ softmax of the likeliest tokens' logits) where the two are equal, by automatic differentiation."""
    places = logits.topk(likely).indices
    wanted = logits[places].log_softmax(-1)

    def divergence(found: torch.Tensor) -> torch.Tensor:
        return (wanted.exp() * (wanted - found[places].log_softmax(-1))).sum()

    return torch.autograd.functional.hessian(divergence, logits)


def densely(model, ids: torch.Tensor, layer: int, name: str, likely: int = LIKELY) -> torch.Tensor:
    """Σ over tokens s of Σ_t J_tsᵀ H_t J_ts for one window: J_ts is how the logits of token t move with what the projection gives at s."""
    projection = model.model.layers[layer].get_submodule(name)

    def logits_of(change: torch.Tensor) -> torch.Tensor:
        handle = projection.register_forward_hook(lambda _module, _args, output: output + change)
        try:
            return model(ids[None]).logits[0, :-1]
        finally:
            handle.remove()

    nothing = torch.zeros(1, TOKENS, projection.out_features, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(logits_of, nothing)[:, :, 0]  # predicted, vocabulary, tokens, outputs
    hessians = torch.stack([curvature(one, likely) for one in logits_of(nothing).detach()])
    return torch.einsum("tvsi,tvw,twsj->ij", jacobian, hessians, jacobian)


def test_the_output_side_is_the_curvature_by_automatic_differentiation(tmp_path, monkeypatch):
    model = small_llama(torch.float64)
    ids = torch.randint(0, model.config.vocab_size, (3, TOKENS), generator=torch.Generator().manual_seed(4))
    monkeypatch.setattr(module, "objective_of", lambda labels, seed: likeliest_loss(seed, LIKELY, PROBES))
    collect(model, ids.repeat_interleave(PROBES, 0), tmp_path / "found", {}, labels="likeliest")
    for layer, role, name in PLACES:
        expected = sum(densely(model, window, layer, name) for window in ids) / (len(ids) * (TOKENS - 1))
        found = read_gradients(tmp_path / "found", layer, f"{role}.outputs")
        assert (found - expected).norm() <= 1e-6 * expected.norm()


def test_one_draw_of_signs_tells_the_curvature_in_the_mean(tmp_path):
    """By the pass as it is: one probe a window, many windows."""
    model = small_llama(torch.float64)
    ids = torch.randint(0, model.config.vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(4))
    collect(model, ids.expand(2000, -1), tmp_path / "found", {}, 100, labels="likeliest")
    layer, role, name = PLACES[0]
    found = read_gradients(tmp_path / "found", layer, f"{role}.outputs")
    expected = densely(model, ids[0], layer, name, min(64, model.config.vocab_size)) / (TOKENS - 1)
    assert (found - expected).norm() <= 0.1 * expected.norm()


@pytest.mark.parametrize("rows", [1, 2, 8, 32])
def test_signs_of_all_rows_are_orthogonal_columns(rows):
    signs = torch.stack([hadamard_signs((rows // 2 or 1, 2 if rows > 1 else 1), 7, row).flatten() for row in range(rows)])
    assert torch.equal(signs.mT @ signs, rows * torch.eye(signs.shape[1], dtype=torch.float64))
    assert set(signs.unique().tolist()) <= {-1.0, 1.0}


def test_signs_hang_on_the_window_and_are_fair():
    one, other = (hadamard_signs((100, 64), seed, 0) for seed in (1, 2))
    assert torch.equal(one, hadamard_signs((100, 64), 1, 0)) and not torch.equal(one, other)
    assert abs(float(one.mean())) < 0.05


def test_what_is_returned_is_the_loss_of_the_text():
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([1, 5, 0, 8, 2])
    loss = likeliest_loss(3, 4)(0, logits, ids)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none"))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert ((gradient != 0).sum(1) <= 4).all() and torch.allclose(gradient.sum(1), torch.zeros(4, dtype=torch.float64))
