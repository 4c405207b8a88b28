"""Parts that are added are what one pass over all windows finds, to the rounding of float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drank.calibration import gradients, mean_loss, moments, parts
from drank.calibration.layer_files import layer_file
from drank.calibration.sums import Sums
from drank.runtime.files import file_hash, read_json, write_json
from drank.runtime.shares import Share
from tests.unit.interrupted import LAYERS, Killed, kill_after, small_llama

KINDS = ("moments", "text", "without outputs", "sampled", "likeliest")
WRITES = 1e-12
"""Of the largest number of a tensor: as near as sums of float64 in another order have to be."""


def windows(count: int = 9, length: int = 12) -> torch.Tensor:
    """So many ids that an input of 8 or 12 features has its first tokens, whose products are float64, within the first part."""
    return torch.randint(0, 50, (count, length), generator=torch.Generator().manual_seed(2))


def taker(kind: str, model: object | None = None, ids: torch.Tensor | None = None, batch: int = 2) -> Callable[..., None]:
    """What takes one kind of statistics of a small model, of all windows or of a share of them, as a folder."""
    model, ids = model or small_llama(), windows() if ids is None else ids
    if kind == "moments":
        return lambda folder, share=None, facts=None: moments.calibrate(model, ids, folder, facts or {"a": 1}, batch, share=share)
    options = {"outputs": False} if kind == "without outputs" else {"labels": kind}
    return lambda folder, share=None, facts=None: gradients.collect(model, ids, folder, facts or {"a": 1}, batch, **options, share=share)


def gathered(kind: str, taken: list[Path], folder: Path) -> None:
    if kind == "moments":
        parts.gather(taken, folder, moments.moments_of)
    else:
        parts.gather(taken, folder, mean_loss.gradients_of, mean_loss.facts_of)


def largest_difference(found: Path, whole: Path) -> float:
    """Between the layers of two folders, each tensor relative to its largest number; a float32 is let be rounded either way."""
    worst = 0.0
    for layer in range(LAYERS):
        mine, theirs = load_file(layer_file(found, layer)), load_file(layer_file(whole, layer))
        assert mine.keys() == theirs.keys()
        for name, values in theirs.items():
            assert mine[name].dtype == values.dtype and mine[name].shape == values.shape
            scale = max(values.abs().max().item(), 1e-300)
            off = (mine[name].double() - values.double()).abs()
            if values.dtype == torch.float32:
                off = (off - values.abs().double() * torch.finfo(torch.float32).eps).clamp(min=0)
            worst = max(worst, off.max().item() / scale)
    return worst


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_added_parts_are_what_one_pass_finds(kind, count, tmp_path):
    """Nine windows are five batches of two, the last of one, and fewer than seven shares."""
    take = taker(kind)
    take(tmp_path / "whole")
    names = [tmp_path / str(Share(number, count)) for number in range(1, count + 1)]
    for name in names:
        take(name, Share.named(name.name))
    gathered(kind, names, tmp_path / "gathered")
    assert largest_difference(tmp_path / "gathered", tmp_path / "whole") < WRITES
    mine, theirs = (read_json(tmp_path / folder / "facts.json") for folder in ("gathered", "whole"))
    assert mine == {**theirs, **({"loss": pytest.approx(theirs["loss"], rel=1e-14)} if "loss" in theirs else {})}
    assert sorted(path.name for path in (tmp_path / "gathered").iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())
    if count == 1:
        assert file_hash(tmp_path / "gathered") == file_hash(tmp_path / "whole"), "one part is all there is, to the last bit"


def test_tokens_of_a_later_part_are_multiplied_as_one_pass_multiplies_them():
    """Past the first 16 tokens of 8 features products are float32: a part that knew nothing of the others would find other numbers."""
    rows = torch.randn(40, 8, generator=torch.Generator().manual_seed(1)).mul(torch.logspace(-3, 3, 8))
    whole, first, last, alone = Sums(8, "cpu"), Sums(8, "cpu"), Sums(8, "cpu", before=20), Sums(8, "cpu")
    for sums, given in ((whole, rows[:20]), (whole, rows[20:]), (first, rows[:20]), (last, rows[20:]), (alone, rows[20:])):
        sums.add(given)
    total = whole.gram()
    assert torch.equal(total, first.gram() + last.gram())
    assert not torch.equal(total, first.gram() + alone.gram())


@pytest.mark.parametrize("kind", ["moments", "text"])
def test_a_part_that_was_killed_is_gone_on_with(kind, tmp_path, monkeypatch):
    take = taker(kind)
    with monkeypatch.context() as patched:
        events = kill_after(patched, 1000)
        take(tmp_path / "1-of-2", Share(1, 2))
    take(tmp_path / "2-of-2", Share(2, 2))
    for event in range(len(events)):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            kill_after(patched, event)
            take(tmp_path / "again", Share(1, 2))
        with monkeypatch.context() as patched:
            redone = kill_after(patched, 1000)
            take(tmp_path / "again", Share(1, 2))
        assert not {done for done in events[:event] if "layer" in done} & set(redone), "a layer that was finished is not done again"
        assert file_hash(tmp_path / "again") == file_hash(tmp_path / "1-of-2")
        (tmp_path / "again").rename(tmp_path / f"done-{event}")


def test_work_on_another_share_is_not_gone_on_with(tmp_path, monkeypatch):
    take = taker("moments")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        kill_after(patched, 6)
        take(tmp_path / "part", Share(1, 2))
    take(tmp_path / "part", Share(1, 3))
    take(tmp_path / "fresh", Share(1, 3))
    assert file_hash(tmp_path / "part") == file_hash(tmp_path / "fresh")


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    take = taker("moments")
    for name in ("1-of-2", "2-of-2"):
        take(tmp_path / name, Share.named(name))
    take(tmp_path / "other", Share(2, 2), {"a": 2})
    for wrong, what in ((["1-of-2"], "shares 1-of-2"), (["1-of-2", "1-of-2"], "all of one division"), (["1-of-2", "other"], "same model")):
        with pytest.raises(ValueError, match=what):
            gathered("moments", [tmp_path / name for name in wrong], tmp_path / "gathered")
    facts = read_json(tmp_path / "2-of-2/facts.json")
    facts["made"]["device"] = "cuda"
    write_json(tmp_path / "other/facts.json", facts)
    with pytest.raises(ValueError, match="the same kind of device: cpu / cuda"):
        gathered("moments", [tmp_path / "1-of-2", tmp_path / "other"], tmp_path / "gathered")
    short = tmp_path / "2-of-2" / f"layer-{LAYERS - 1:03d}.safetensors"
    short.unlink()
    with pytest.raises(ValueError, match="same model"):
        gathered("moments", [tmp_path / "1-of-2", tmp_path / "2-of-2"], tmp_path / "gathered")
    assert not (tmp_path / "gathered").exists()
