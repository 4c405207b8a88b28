"""Statistics on disk, layer by layer, and what partial work is known by."""

from __future__ import annotations

import pytest
import torch

from drank.calibration.layer_files import identity, layers_in, read_facts, read_layer, write_facts, write_layer
from drank.runtime.files import write_json
from tests.unit.interrupted import small_llama, windows


def test_layers_come_back_and_are_counted(tmp_path):
    for layer in range(12):
        write_layer(tmp_path, layer, {"x": torch.full((3, 3), float(layer), dtype=torch.float64).mT, "y": torch.ones(2)})
        assert layers_in(tmp_path) == layer + 1
    (tmp_path / ".layer-012.safetensors.7.part").touch()
    assert layers_in(tmp_path) == 12
    assert torch.equal(read_layer(tmp_path, 11, "x"), torch.full((3, 3), 11.0, dtype=torch.float64))


def test_partial_work_is_known_by_all_that_decides_it():
    model, ids = small_llama(), windows()
    first = identity(model, ids, 2, {"seed": 1}, "code")
    assert first == identity(small_llama(), ids.clone(), 2, {"seed": 1}, "code")
    others = [
        identity(model, ids.flip(0), 2, {"seed": 1}, "code"),
        identity(model, ids, 3, {"seed": 1}, "code"),
        identity(model, ids, 2, {"seed": 2}, "code"),
        identity(model, ids, 2, {"seed": 1}, "other code"),
        identity(small_llama(torch.float64), ids, 2, {"seed": 1}, "code"),
    ]
    assert all(other != first for other in others)


@pytest.mark.parametrize(("seen", "told"), [((30, 28), "layer 1 28"), ((31, 30), "layer 0 31")])
def test_statistics_of_fewer_or_more_tokens_than_asked_for_get_no_facts(seen, told, tmp_path):
    for layer, count in enumerate(seen):
        write_layer(tmp_path, layer, {"tokens": torch.tensor(float(count))})
    with pytest.raises(ValueError, match=rf"statistics of 30 tokens were asked for, and read were in {told}; delete it"):
        write_facts(tmp_path, {}, 30)
    assert not (tmp_path / "facts.json").exists()


@pytest.mark.parametrize("facts", [{}, {"tokens": 30}, {"tokens": 30, "tokens_read": 28}])
def test_statistics_that_do_not_say_that_they_are_whole_are_not_read(facts, tmp_path):
    write_json(tmp_path / "facts.json", facts)
    with pytest.raises(ValueError, match=r"tokens of .*; delete it and run again"):
        read_facts(tmp_path)
    write_json(tmp_path / "facts.json", {"seed": 13, "tokens": 30, "tokens_read": 30})
    assert read_facts(tmp_path) == {"seed": 13}
