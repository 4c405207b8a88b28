"""Every family: statistics of four shares of the windows, added, are those of all windows to the rounding of float64."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from drank.calibration import gradients, mean_loss, moments, parts
from drank.calibration.layer_files import layer_file, layers_in
from drank.runtime.shares import Share


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    """Seven windows of 20 ids, longer than the sliding windows; batches of 2 leave a last one of 1."""
    return torch.randint(0, 250, (7, 20), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", ["moments", "gradients"])
def test_parts_add_up(family, kind, tiny_model, windows, tmp_path):
    """Experts' too, although how many tokens one has read hangs on the router."""
    model = tiny_model(family)
    take, finish = {"moments": (moments.calibrate, moments.moments_of), "gradients": (gradients.collect, mean_loss.gradients_of)}[kind]
    take(model, windows, tmp_path / "whole", {}, 2)
    shares = [Share(number, 4) for number in range(1, 5)]
    for share in shares:
        take(model, windows, tmp_path / str(share), {}, 2, share=share)
    parts.gather([tmp_path / str(share) for share in shares], tmp_path / "gathered", finish)
    assert layers_in(tmp_path / "whole") == layers_in(tmp_path / "gathered") > 0
    for layer in range(layers_in(tmp_path / "whole")):
        found, whole = (load_file(layer_file(tmp_path / name, layer)) for name in ("gathered", "whole"))
        assert found.keys() == whole.keys()
        for name, values in whole.items():
            rounded = torch.finfo(torch.float32).eps if values.dtype == torch.float32 else 0.0
            torch.testing.assert_close(found[name], values, rtol=rounded, atol=1e-12 * values.abs().max().item())
