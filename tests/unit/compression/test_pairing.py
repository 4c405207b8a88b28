"""What two models read at the same place, side by side: its sums, and passes that go no further than they have to."""

from __future__ import annotations

import pytest
import torch

from drank.calibration.sums import PANEL
from drank.compression.anchoring import JITTER
from drank.compression.pairing import PairedSums, paired_blocks
from drank.compression.target import target_of
from drank.models.residency import open_skeleton
from tests.unit.compressed_llama import draw, inputs_of


def test_sums_of_pairs_are_exact_over_many_batches():
    sums, rows = PairedSums(4, torch.device("cpu")), [torch.from_numpy(draw(2500, 4, seed)) for seed in range(4)]
    for found, dense in ((rows[0], rows[1]), (rows[2], rows[3])):
        sums.add(found, dense)
    found, dense = torch.cat(rows[::2]), torch.cat(rows[1::2])
    torch.testing.assert_close(sums.gram, found.mT @ found)
    torch.testing.assert_close(sums.apart, found.mT @ (dense - found))
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
    torch.testing.assert_close(sums.apart, rows[0].mT @ (rows[1] - rows[0]) + rows[2].mT @ (rows[3] - rows[2]))


@pytest.mark.parametrize("off", [1e-3, 0.3])
def test_sums_of_float32_rows_are_exact_enough_for_targets_of_ill_conditioned_inputs(off):
    """Features over six orders of magnitude, mixed, and next to no ridge: outputs come as near to the dense ones as in float64."""
    scales = torch.logspace(3, -3, 24, dtype=torch.float64)
    mixing, noise, matrix = (torch.from_numpy(draw(*shape, seed)) for seed, shape in enumerate([(24, 24), (6000, 24), (24, 5)]))
    found = (torch.from_numpy(draw(6000, 24, 9)) * scales + torch.from_numpy(draw(6000, 24, 10)) @ mixing * 1e-2).float()
    dense = (found + off * noise * scales).float()
    sums = PairedSums(24, torch.device("cpu"))
    for x, y in zip(found.split(700), dense.split(700), strict=True):
        sums.add(x, y)
    x, y = found.double(), dense.double()
    target, best = (target_of(*of, matrix, 1.0, JITTER) for of in ((sums.gram, sums.apart), (x.mT @ x, x.mT @ (y - x))))
    assert (x @ (target - best)).norm() < 1e-6 * (y @ matrix - x @ best).norm()


@pytest.mark.parametrize(("tokens", "off"), [(64, 0.3), (200, 0.3), (500, 0.01)])
def test_what_few_tokens_never_excite_keeps_the_matrix_in_float32_too(tokens, off):
    """The ridge is a millionth of a feature's energy: noise of float32 products would be divided by it."""
    rows, noise, matrix = (torch.from_numpy(draw(*shape, seed)) for seed, shape in enumerate([(tokens, 512), (tokens, 512), (512, 5)]))
    found, sums = rows.float(), PairedSums(512, torch.device("cpu"))
    sums.add(found, (rows + off * noise).float())
    unread = torch.linalg.qr(found.double().mT, mode="complete").Q[:, tokens:]
    target = target_of(sums.gram, sums.apart, matrix, 1.0, JITTER)
    assert (unread.mT @ (target - matrix)).norm() < 1e-6 * matrix.norm()


@pytest.mark.parametrize("kinds", [4, 10, 40, 100, 300])
def test_long_text_of_few_different_tokens_has_a_target(kinds):
    """Rounding makes eigenvalues of G' more negative than the ridge is large; what is read is served as in float64 all the same."""
    rows, noise, matrix = (torch.from_numpy(draw(*shape, seed)) for seed, shape in enumerate([(kinds, 512), (kinds, 512), (512, 5)]))
    found, dense = (part.repeat(8192 // kinds, 1).float() for part in (rows, rows + 0.3 * noise))
    sums = PairedSums(512, torch.device("cpu"))
    sums.add(found, dense)
    target = target_of(sums.gram, sums.apart, matrix, 1.0, JITTER)
    x, y = found.double(), dense.double()
    best = target_of(x.mT @ x, x.mT @ (y - x), matrix, 1.0, JITTER)
    assert (x @ (target - best)).norm() < 1e-2 * (y @ matrix - x @ matrix).norm()
    assert (target - matrix).norm() < 1.1 * (best - matrix).norm()


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
            torch.testing.assert_close(found[name].apart, x.mT @ (y - x))
        assert not ran and not pair.leaving
        assert pair.sums().keys() == {"attention", "heads", "mlp", "hidden"}
        assert not ran and len(pair.leaving) == 3
