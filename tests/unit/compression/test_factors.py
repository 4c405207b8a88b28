"""The factors as slices of the spectra."""

from __future__ import annotations

import pytest
import torch

from drank.allocation.plan import Plan
from drank.compression.factors import factors_of
from drank.models.groups import Group, Shape
from drank.spectra.spectrum import decompose_model, read_bases
from tests.unit.toy_calibration import calibrated


@pytest.mark.parametrize("weighting", ["whitening", "kronecker-fisher"])
def test_factors_are_slices_of_the_bases_and_w_duals(weighting, tmp_path):
    """B C = W Dᵀ C from the first rows, those of C at length 1, for factored groups only, whose matrices stand side by side."""
    toy = calibrated(tmp_path)
    decompose_model(toy.checkpoint, tmp_path / "s", moments=toy.moments, gradients=toy.gradients, weighting=weighting, group=2, facts={})
    shape, alone, last = Shape("q", (0, 1), 6, 6), Shape("o", (0,), 6, 6), Shape("down", (2,), 9, 6)
    plan = Plan("m", "x", 0.2, {}, (Group(shape, 3.0, 4), Group(alone, 3.0, 6, dense=True), Group(last, 2.0, 1)))
    found = factors_of(toy.checkpoint, plan, tmp_path / "s")
    assert list(found) == ["q.00-01", "down.02"]
    stored = read_bases(tmp_path / "s", {"q.00-01": 6, "down.02": 6})
    for name, role, layers, rank in (("q.00-01", "q", (0, 1), 4), ("down.02", "down", (2,), 1)):
        basis, coefficients = found[name]
        assert basis.dtype == coefficients.dtype == torch.float64
        rows, duals = (part[:rank].double() for part in stored[name])
        torch.testing.assert_close(coefficients.norm(dim=1), torch.ones(rank, dtype=torch.float64))
        torch.testing.assert_close(coefficients, rows / rows.norm(dim=1, keepdim=True))
        product = torch.from_numpy(toy.matrix(role, layers)) @ duals.mT @ rows
        torch.testing.assert_close(basis @ coefficients, product)
