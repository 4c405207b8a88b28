"""One small Llama compressed by D-Rank with NumPy and SciPy from the paper's text, and by drank: the same ranks, the same logits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.config.method_entries import method_of
from drank.models.conversion import convert
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model, read_energies, read_summary

PATHS = {role: f"self_attn.{role}_proj" for role in "qkvo"} | {role: f"mlp.{role}_proj" for role in ("gate", "up", "down")}
LAYERS = 5


def record_inputs(model, windows) -> dict[tuple[str, int], np.ndarray]:
    """X of every projection: one row per calibration token."""
    inputs, handles = {}, []
    for role, path in PATHS.items():
        for layer in range(LAYERS):

            def hook(_module, args, _out, key=(role, layer)):
                inputs[key] = args[0].detach().double().flatten(0, -2).numpy()

            handles.append(model.model.layers[layer].get_submodule(path).register_forward_hook(hook))
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return inputs


def weight(model, role, layer) -> np.ndarray:
    return model.model.layers[layer].get_submodule(PATHS[role]).weight.detach().double().numpy().T


def compress_by_hand(model, windows, n: int, theta: float, beta: float):
    """Ranks by (role, first layer), effective ranks likewise, and the products B C of every projection."""
    inputs = record_inputs(model, windows)
    groups = {role: [tuple(range(i, min(i + size, LAYERS))) for i in range(0, LAYERS, size)] for role, size in _sizes(n).items()}
    svds, spectral, omega, rank, budget = {}, {}, {}, {}, {}
    for role, members in groups.items():
        budget[role] = 0.0
        for g in members:
            matrix = np.hstack([weight(model, role, layer) for layer in g])
            gram = sum(inputs[role, layer].T @ inputs[role, layer] for layer in g)
            root = scipy.linalg.cholesky(gram, lower=False)
            u, sigma, vh = scipy.linalg.svd(root @ matrix, full_matrices=False)
            p = sigma**2 / (sigma**2).sum()
            svds[role, g] = root, u, sigma, vh
            spectral[role, g] = np.exp(-(p * np.log(p)).sum())
            omega[role, g] = sum(matrix.shape)
            budget[role] += (1 - theta) * matrix.size
        share = sum(np.sqrt(spectral[role, g] * omega[role, g]) for g in members)
        for g in members:
            rank[role, g] = budget[role] / share * np.sqrt(spectral[role, g] / omega[role, g])
            assert 1 < rank[role, g] < len(svds[role, g][2]), "equation 7 holds as it stands where no bound binds"
    moved = beta * sum(rank[role, g] for role in "qk" for g in groups[role]) / len(groups["v"])
    for role in "qk":
        for g in groups[role]:
            rank[role, g] *= 1 - beta
    for g in groups["v"]:
        rank["v", g] += moved
        assert rank["v", g] < len(svds["v", g][2])
    whole = {key: int(np.floor(value)) for key, value in rank.items()}
    for scope in (("q", "k", "v"), ("o",), ("gate",), ("up",), ("down",)):
        keys = [(role, g) for role in scope for g in groups[role]]
        left = sum(int(np.floor(budget[role] + 1e-6)) for role in scope) - sum(whole[key] * omega[key] for key in keys)
        assert left >= 0
        while fitting := [key for key in keys if omega[key] <= left and whole[key] < len(svds[key][2])]:
            best = max(fitting, key=lambda key: spectral[key] / (whole[key] * (whole[key] + 1) * omega[key]))
            whole[best] += 1
            left -= omega[best]
    products = {}
    for (role, g), k in whole.items():
        root, u, sigma, vh = svds[role, g]
        basis = scipy.linalg.solve_triangular(root, u[:, :k] * sigma[:k], lower=False)
        for layer, block in zip(g, np.split(vh[:k], len(g), axis=1), strict=True):
            products[role, layer] = basis @ block
    return whole, spectral, products


def _sizes(n: int) -> dict[str, int]:
    return {role: 1 if role in ("o", "down") else n for role in PATHS}


def compress_by_drank(model, windows, n: int, theta: float, beta: float, folder):
    """The plan, with the model compressed in place."""
    model.save_pretrained(folder / "dense")
    checkpoint = Checkpoint(folder / "dense")
    method = method_of("d-rank", {"group": n, "beta": beta})
    calibrate(model, windows, folder / "moments", {}, batch=4)
    decompose_model(checkpoint, folder / "spectra", moments=folder / "moments", group=method.group, facts={"model": "toy"})
    evidence = Evidence(tuple(read_summary(folder / "spectra")[0]), read_energies(folder / "spectra"))
    plan = allocate(evidence, theta, method.settings(), model="toy", method="d-rank")
    convert(model, plan.groups, factors_of(checkpoint, plan, folder / "spectra"))
    return plan


@pytest.mark.parametrize(
    ("key_value_heads", "n", "theta", "beta"),
    [(4, 2, 0.4, 0.3), (4, 1, 0.3, 0.2), (2, 1, 0.4, 0.2), (2, 2, 0.5, 0.1)],
    ids=["mha n=2 beta=.3", "mha n=1", "gqa n=1", "gqa n=2"],
)
def test_ranks_and_logits_are_those_worked_by_hand(key_value_heads, n, theta, beta, tiny_model, tmp_path):
    options = {"num_key_value_heads": key_value_heads, "num_hidden_layers": LAYERS, "hidden_size": 24, "intermediate_size": 52}
    windows = torch.randint(0, 250, (10, 24), generator=torch.Generator().manual_seed(5))
    by_hand, by_drank = (tiny_model("llama", **options) for _ in range(2))
    ranks, spectral, products = compress_by_hand(by_hand, windows, n, theta, beta)
    plan = compress_by_drank(by_drank, windows, n, theta, beta, tmp_path)
    assert {(group.shape.role, group.shape.layers): group.rank for group in plan.groups} == ranks
    for group in plan.groups:
        assert group.effective_rank == pytest.approx(spectral[group.shape.role, group.shape.layers], rel=1e-5)
        assert group.shape.rows + group.shape.width == group.shape.cost
    fresh = torch.randint(0, 250, (3, 24), generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        dense = by_hand(fresh).logits
        for (role, layer), product in products.items():
            by_hand.model.layers[layer].get_submodule(PATHS[role]).weight.copy_(torch.from_numpy(product.T))
        expected = by_hand(fresh).logits
        torch.testing.assert_close(by_drank(fresh).logits, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    assert (dense - expected).abs().max() > 0.05 * dense.abs().max(), "compression must show, or this compares nothing"
