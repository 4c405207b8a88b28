"""What two models read at the same place, side by side: its sums, and passes that go no further than they have to."""

from __future__ import annotations

import torch

from drank.calibration.sums import PANEL
from drank.compression.pairing import PairedSums, paired_blocks
from drank.models.residency import open_skeleton
from tests.unit.compressed_llama import draw, inputs_of


def test_sums_of_pairs_are_exact_over_many_batches():
    sums, rows = PairedSums(4, torch.device("cpu")), [torch.from_numpy(draw(2500, 4, seed)) for seed in range(4)]
    for found, dense in ((rows[0], rows[1]), (rows[2], rows[3])):
        sums.add(found, dense)
    found, dense = torch.cat(rows[::2]), torch.cat(rows[1::2])
    torch.testing.assert_close(sums.gram, found.mT @ found)
    torch.testing.assert_close(sums.cross, found.mT @ dense)
    half = PairedSums(4, torch.device("cpu"))
    half.add(rows[0].bfloat16(), rows[1].bfloat16())
    assert half.gram.dtype == torch.float64
    torch.testing.assert_close(half.gram, rows[0].bfloat16().double().mT @ rows[0].bfloat16().double(), rtol=1e-5, atol=1e-3)


def test_wide_inputs_are_summed_panel_by_panel_and_again_after_they_were_read() -> None:
    width = 2 * PANEL + 37
    sums, rows = PairedSums(width, torch.device("cpu")), [torch.from_numpy(draw(40, width, seed)) for seed in range(4)]
    sums.add(rows[0], rows[1])
    torch.testing.assert_close(sums.gram, rows[0].mT @ rows[0])
    sums.add(rows[2], rows[3])
    torch.testing.assert_close(sums.gram, rows[0].mT @ rows[0] + rows[2].mT @ rows[2])
    assert torch.equal(sums.gram, sums.gram.mT)
    torch.testing.assert_close(sums.cross, rows[0].mT @ rows[1] + rows[2].mT @ rows[3])


def test_exact_sums_of_pairs_are_of_products_in_float64():
    """The product of float32 rows has twice their digits, which the sum keeps."""
    rows = torch.from_numpy(draw(50, 4, 0)).float() * torch.tensor([1e4, 1, 1, 1e-3])
    sums = PairedSums(4, torch.device("cpu"))
    sums.add(rows, rows + 1, exact=True)
    torch.testing.assert_close(sums.gram, rows.double().mT @ rows.double(), rtol=1e-14, atol=0)
    torch.testing.assert_close(sums.cross, rows.double().mT @ (rows + 1).double(), rtol=1e-14, atol=0)
    torch.linalg.cholesky(sums.gram)


def test_inputs_named_are_those_of_a_whole_pass_and_the_pass_ends_there(toy):
    """Both models, with a skeleton for the dense one, block by block; what nobody asked for is not run."""
    model, dense = toy.compressed(toy.plan(3)), toy.dense()
    seen, originals, ran = inputs_of(model, toy.windows), inputs_of(dense, toy.windows), []
    for block in model.model.layers:
        block.mlp.down_proj.register_forward_hook(lambda *_: ran.append(1))
    for pair in paired_blocks(model, open_skeleton(toy.directory), toy.windows, 5, "test"):
        ran.clear()
        for name, role in (("attention", "v"), ("heads", "o"), ("mlp", "gate"), ("hidden", "down")):
            x, y = seen[pair.layer, role], originals[pair.layer, role]
            found = pair.sums([name])
            assert list(found) == [name]
            torch.testing.assert_close(found[name].gram, x.mT @ x)
            torch.testing.assert_close(found[name].cross, x.mT @ y)
        assert not ran and not pair.leaving
        assert pair.sums().keys() == {"attention", "heads", "mlp", "hidden"}
        assert len(ran) == len(pair.leaving) == 3
