"""Moments on disk, and the errors of the accumulation; what they are for each family is a contract test."""

from __future__ import annotations

import math
import shutil

import pytest
import torch
from torch import nn

from drank.calibration.moments import NonFiniteError, calibrate, check_finite, collecting, read_moments, read_similarities
from drank.calibration.sums import Sums
from drank.models.families import Family, Projection
from drank.runtime.files import file_hash, read_json
from tests.unit.interrupted import LAYERS, Killed, kill_after, small_llama, windows

TOY = Family(
    blocks="blocks", projections=(Projection("q", "q", reads="x"), Projection("k", "k", reads="x"), Projection("o", "o", reads="y"))
)


class Toy(nn.Module):
    """Two maps of one input, and one of their sum."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.o = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 6)

    def forward(self, x):
        return self.o(self.q(x) + self.k(x))


@pytest.fixture
def block() -> Toy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Toy()


def test_a_shared_input_is_counted_once_and_batches_add_up(block):
    inputs = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(1))
    with collecting(block, TOY) as grams, torch.no_grad():
        for chunk in inputs.split(2):
            block(chunk)
    x = inputs.double().reshape(35, 6)
    assert set(grams) == {f"{name}{part}" for name in "xy" for part in ("", ".absolute", ".tokens")}
    torch.testing.assert_close(grams["x.absolute"], x.abs().sum(0))
    torch.testing.assert_close(grams["x"], x.T @ x, rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        y = (block.q(inputs) + block.k(inputs)).double().reshape(35, 4)
    torch.testing.assert_close(grams["y"], y.T @ y, rtol=1e-5, atol=1e-5)


def test_sums_are_float64_where_float32_would_lose_them(block):
    """Many small rows after a large one, at whose square float32 counts in steps of 128; the first tokens are float64 anyway."""
    small, large = torch.full((256, 6), 0.5), torch.zeros(256, 6)
    large[0] = 2.0**15
    with collecting(block, TOY) as grams, torch.no_grad():
        block(small[:12])
        block(torch.cat([large, *[small] * 391]))
    assert grams["x"].dtype == torch.float64
    assert torch.equal(grams["x"], torch.full((6, 6), 2.0**30 + (12 + 391 * 256) / 4, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_inputs_of_half_precision_are_squared_in_float64(block, dtype):
    inputs = torch.full((3, 6), 300.0, dtype=dtype)
    with collecting(block.to(dtype), TOY) as grams, torch.no_grad():
        block.q(inputs)
    assert torch.equal(grams["x"], torch.full((6, 6), 3 * inputs[0, 0].double().item() ** 2, dtype=torch.float64))


def test_hooks_are_removed_even_after_an_error(block):
    with pytest.raises(RuntimeError, match="stop"), collecting(block, TOY):
        raise RuntimeError("stop")
    assert not any(module._forward_pre_hooks for module in block.modules())


def test_moments_that_are_not_finite_are_all_named():
    grams = {"mlp": torch.tensor([[math.inf]]), "heads": torch.eye(2), "attention": torch.tensor([[math.nan]])}
    with pytest.raises(NonFiniteError, match=r"layer 7: the moments of the input of attention, mlp are not finite.*float32"):
        check_finite(grams, 7)
    check_finite({"heads": torch.eye(2)}, 7)


@pytest.mark.parametrize(("tokens", "width"), [(1, 1), (3, 300), (700, 257), (512, 600)])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 1e-6)])
def test_sums_over_panels_and_chunks_are_the_product(tokens, width, dtype, error):
    """To rounding, each entry relative to the scale of its two features, and exactly symmetric."""
    rows = torch.randn(tokens, width, generator=torch.Generator().manual_seed(tokens)).mul(torch.logspace(-3, 3, width)).to(dtype)
    sums = Sums(width, "cpu")
    for part in rows.split(400):
        sums.add(part)
    expected, found = rows.double().T @ rows.double(), sums.gram()
    scale = expected.diag().sqrt()
    assert torch.equal(found, found.T)
    assert ((found - expected).abs() <= error * torch.outer(scale, scale)).all()
    torch.testing.assert_close(sums.absolute, rows.double().abs().sum(0), rtol=max(error, 1e-12), atol=0)


def test_a_projection_that_reads_nothing_has_zeros(block):
    with collecting(block, TOY) as grams:
        block.q(torch.ones(2, 6))
    assert grams["y"].shape == (4, 4) and grams["y.absolute"].shape == (4,)
    assert not grams["y"].any() and not grams["y.absolute"].any() and grams["x"].any()


def test_calibration_writes_every_layer_and_its_facts(tmp_path):
    calibrate(small_llama(), windows(), tmp_path / "moments", {"windows": 5, "seed": 13}, key="code")
    assert read_json(tmp_path / "moments/facts.json") == {"windows": 5, "seed": 13, "tokens": 30, "tokens_read": 30}
    assert len(list((tmp_path / "moments").iterdir())) == LAYERS + 1
    assert read_moments(tmp_path / "moments", 2, "hidden").shape == (12, 12)
    similarities = read_similarities(tmp_path / "moments")
    assert len(similarities) == LAYERS and all(-1 <= value <= 1 for value in similarities)


def test_a_killed_calibration_goes_on_where_it_was_with_the_same_result(tmp_path, monkeypatch):
    """Killed before any of the moves and removals that it makes; all but the block it was in is kept."""
    model = small_llama()
    with monkeypatch.context() as patched:
        events = kill_after(patched, 1000)
        calibrate(model, windows(), tmp_path / "whole", {}, 2)
    assert len(events) == 3 * LAYERS + 4
    for event in range(len(events)):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            kill_after(patched, event)
            calibrate(model, windows(), tmp_path / "killed", {}, 2)
        assert not (tmp_path / "killed").exists()
        with monkeypatch.context() as patched:
            redone = kill_after(patched, 1000)
            calibrate(model, windows(), tmp_path / "killed", {}, 2)
        finished = {done for done in events[:event] if "layer" in done}
        assert not finished & set(redone), "a layer that was finished is not done again"
        assert file_hash(tmp_path / "killed") == file_hash(tmp_path / "whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
        shutil.rmtree(tmp_path / "killed")


@pytest.mark.parametrize(
    ("facts", "key", "batch", "tokens"),
    [({"seed": 2}, "a", 2, 6), ({"seed": 1}, "b", 2, 6), ({"seed": 1}, "a", 3, 6), ({"seed": 1}, "a", 2, 5)],
)
def test_partial_work_for_anything_else_is_discarded(facts, key, batch, tokens, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        kill_after(patched, 6)
        calibrate(small_llama(), windows(), tmp_path / "moments", {"seed": 1}, 2, "a")
    (partial,) = tmp_path.iterdir()
    assert (partial / "layer-000.safetensors").exists()
    calibrate(small_llama(), windows()[:, :tokens], tmp_path / "moments", facts, batch, key)
    calibrate(small_llama(), windows()[:, :tokens], tmp_path / "fresh", facts, batch, key)
    assert file_hash(tmp_path / "moments") == file_hash(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "moments"]


def test_a_calibration_that_fails_leaves_no_moments(tmp_path):
    model = small_llama()
    model.model.layers[1].mlp.down_proj.weight.data[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="layer 1"):
        calibrate(model, windows(), tmp_path / "moments", {})
    assert not (tmp_path / "moments").exists()


def test_few_tokens_leave_moments_without_rank_and_without_noise():
    """Up to twice as many tokens as features, products are float64: what was never excited has eigenvalues of rounding, not of float32."""
    rows = torch.randn(40, 64, generator=torch.Generator().manual_seed(1)) * torch.logspace(-2, 2, 64)
    sums = Sums(64, torch.device("cpu"))
    for part in rows.split(7):
        sums.add(part)
    values = torch.linalg.eigvalsh(sums.gram()).flip(0)
    assert values[40:].abs().max() < 1e-14 * values[0]
    torch.testing.assert_close(sums.gram(), rows.double().T @ rows.double(), rtol=1e-12, atol=0)
