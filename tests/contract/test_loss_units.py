"""On every family, the energies that a two-sided weighting truncates are losses: twice the Kronecker-factored rise per token."""

from __future__ import annotations

import pytest
import torch

from drank.calibration.gradients import collect, read_gradients
from drank.calibration.moments import calibrate, read_moments
from drank.models.checkpoint import load_model, save
from drank.models.weights import Checkpoint
from drank.spectra.decomposition import decompose
from drank.spectra.left_right import Sides


@pytest.mark.parametrize("group", [1, 2])
def test_truncated_energy_is_twice_the_rise_of_the_loss_whoever_reads_the_tokens(family, group, tiny_model, tmp_path):
    """Experts see a share of the tokens, which must count once; a shared basis is made for the mean input of its layers."""
    save(tiny_model(family), None, None, tmp_path / "model")
    model, windows = load_model(tmp_path / "model"), torch.randint(0, 250, (16, 24), generator=torch.Generator().manual_seed(0))
    calibrate(model, windows, tmp_path / "moments", {})
    collect(model, windows, tmp_path / "gradients", {})
    checkpoint = Checkpoint(tmp_path / "model")
    sides = Sides(checkpoint, "kronecker-fisher", {"damping": 1e-7}, tmp_path / "moments", tmp_path / "gradients")
    reads = {projection.role: projection.reads for projection in checkpoint.family.projections}
    for shape in checkpoint.shapes(group):
        matrix = checkpoint.group_matrix(shape)
        found = decompose(matrix, *sides.of(shape))
        rank = max(1, shape.max_rank // 2)
        rest = (matrix - matrix @ found.duals[:rank].mT @ found.coefficients[:rank]).split(shape.columns, dim=1)
        inputs = [read_moments(tmp_path / "moments", layer, reads[shape.role]) for layer in shape.layers]
        tokens = [read_moments(tmp_path / "moments", layer, f"{reads[shape.role]}.tokens") for layer in shape.layers]
        mean = sum(inputs) / sum(tokens)  # what a shared basis takes for the input of each layer
        outputs = [read_gradients(tmp_path / "gradients", layer, f"{shape.role}.outputs") for layer in shape.layers]
        rise = sum(0.5 * torch.trace(mean @ part @ output @ part.mT) for part, output in zip(rest, outputs, strict=True))
        if any(output.any() for output in outputs):
            assert found.energies[rank:].sum().item() / 2 == pytest.approx(rise.item(), rel=1e-3), shape.name
