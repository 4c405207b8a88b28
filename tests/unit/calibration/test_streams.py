"""Hidden states on their way through blocks; that they are the model's own is a contract test."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from torch import nn

from drank.calibration.streams import (
    Arguments,
    IncompleteStatesError,
    StoredStates,
    Stream,
    advance,
    apply,
    arguments_of,
    embedded,
    forwards,
    run_block,
    sizes_of,
    store_states,
)
from drank.runtime.finite import NonFiniteError, finite
from tests.unit.interrupted import LAYERS, small_llama, windows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_states_come_back_from_disk_in_order_as_often_as_they_are_asked_for(dtype, tmp_path):
    batches = [torch.full((2, 3, 4), float(number), dtype=dtype) for number in range(11)]
    store_states(tmp_path / "states", (batch.mT.contiguous().mT for batch in batches))
    stored = StoredStates(tmp_path / "states", torch.device("cpu"), (2,) * 11)
    for _ in range(2):
        found = list(stored)
        assert len(found) == 11 and all(torch.equal(a, b) and a.dtype == dtype for a, b in zip(found, batches, strict=True))


def test_states_that_are_not_all_there_are_refused(tmp_path):
    """What a process that shared the folder removed, or added, was once left out of the moments without a word."""
    store_states(tmp_path / "states", [torch.ones(2, 3, 4), torch.ones(2, 3, 4), torch.ones(1, 3, 4)])
    device = torch.device("cpu")
    assert sizes_of(torch.zeros(5, 3), 2) == (2, 2, 1)
    for sizes in ((2, 2), (2, 2, 1, 2)):
        with pytest.raises(IncompleteStatesError, match=rf"holds 3 batches of hidden states of {len(sizes)}; .* delete it and run again"):
            list(StoredStates(tmp_path / "states", device, sizes))
    with pytest.raises(IncompleteStatesError, match=r"000002\.safetensors holds 1 windows of 2"):
        list(StoredStates(tmp_path / "states", device, (2, 2, 2)))
    (tmp_path / "states/000001.safetensors").rename(tmp_path / "states/000003.safetensors")
    with pytest.raises(IncompleteStatesError, match="holds 3 batches of hidden states of 3"):
        list(StoredStates(tmp_path / "states", device, (2, 2, 1)))


def test_states_that_could_not_all_be_made_leave_nothing(tmp_path):
    def failing():
        yield torch.ones(2)
        raise NonFiniteError("layer 1")

    with pytest.raises(NonFiniteError):
        store_states(tmp_path / "states", failing())
    assert list(tmp_path.iterdir()) == []


def test_blocks_get_their_own_forward_back_even_after_an_error():
    plain, wrapped = nn.Linear(2, 2), nn.Linear(2, 2)
    wrapped.forward = own = lambda x: x + 1
    with pytest.raises(RuntimeError, match="stop"), forwards([plain, wrapped], lambda x: x * 0):
        assert not plain(torch.ones(2)).any() and not wrapped(torch.ones(2)).any()
        raise RuntimeError("stop")
    assert "forward" not in vars(plain) and wrapped.forward is own


def test_what_enters_the_blocks_is_found_without_their_weights():
    model = small_llama()
    for block in model.model.layers:
        block.to("meta")
    assert len(arguments_of(model, windows()[:1])) == LAYERS
    states = list(embedded(model, windows(), 2))
    assert [len(batch) for batch in states] == [2, 2, 1]
    assert torch.equal(torch.cat(states), model.model.embed_tokens(windows()))


def test_a_block_gets_its_arguments_by_position_and_by_name_and_may_give_a_tuple():
    class Block(nn.Module):
        def forward(self, states, first, *, scale):
            return (states * scale + first, "weights")

    arguments = Arguments((1.0,), {"scale": 3.0})
    assert torch.equal(apply(Block(), torch.ones(2), arguments), torch.full((2,), 4.0))
    assert torch.equal(run_block(Block(), 0, Stream([torch.ones(2)], [arguments]))[0], torch.full((2,), 4.0))
    with pytest.raises(NonFiniteError, match=r"layer 0: .* are not finite in torch\.float32; run in float32"):
        run_block(Block(), 0, Stream([torch.ones(2), torch.tensor([math.inf, 1])], [arguments]))


def test_states_go_on_in_place_batch_by_batch():
    """What has left a batch is there instead of what entered it, so that a device holds one layer's states."""
    before, alive = [], []

    class Block(nn.Module):
        def forward(self, states):
            before.append(weakref.ref(states))
            alive.append(sum(one() is not None for one in before))
            return states + 1

    stream = Stream([torch.full((2, 3), float(place)) for place in range(6)], [Arguments((), {})])
    advance(Block(), 0, stream)
    assert [batch[0, 0].item() for batch in stream.states] == [1, 2, 3, 4, 5, 6]
    assert max(alive) <= 2 and not any(one() is not None for one in before)
    with pytest.raises(NonFiniteError, match="layer 0"):
        advance(Block(), 0, Stream([torch.full((1,), math.inf)], [Arguments((), {})]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_seen(dtype, bad):
    values = torch.full((50, 50), 60000.0, dtype=dtype)
    assert finite(values), "the sum of large half-precision values does not overflow"
    values[7, 11] = bad
    assert not finite(values)
    values[3, 5] = -bad
    assert not finite(values)
