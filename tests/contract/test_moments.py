"""Every family: moments taken block by block are those of an ordinary forward pass."""

from __future__ import annotations

import copy
import math
from collections import defaultdict

import pytest
import torch
from transformers import PreTrainedModel

from drank.calibration.moments import NonFiniteError, calibrate, open_stream, read_moments, read_similarities, run_block
from drank.models.checkpoint import load_model
from drank.models.families import blocks_of, family_of, module_path
from drank.models.residency import open_skeleton, resident
from drank.runtime.files import file_hash
from tests.contract.forward import inputs_of


def entering_and_leaving(model: PreTrainedModel, windows: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The hidden states (windows, tokens, d) on both sides of each block, in one ordinary forward pass."""
    found: list[tuple[torch.Tensor, torch.Tensor]] = []

    def hook(_block, args, output):
        found.append((args[0], output[0] if isinstance(output, tuple) else output))

    handles = [block.register_forward_hook(hook) for block in blocks_of(model)]
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_moments_are_those_of_an_ordinary_forward_pass(family, batch, tiny_model, windows, tmp_path):
    model = tiny_model(family)
    inputs, sides = inputs_of(model, windows), entering_and_leaving(model, windows)
    calibrate(model, windows, tmp_path / "moments", {"seed": 3}, batch)
    assert [path.name for path in tmp_path.iterdir()] == ["moments"]
    assert len(list((tmp_path / "moments").iterdir())) == len(sides) + 1
    for layer, (before, after) in enumerate(sides):
        for projection in family_of(model.config).projections:
            x = inputs.get((layer, projection.role), torch.zeros(0, model.config.hidden_size, dtype=torch.float64))
            assert "." in projection.role or len(x) == windows.numel()
            gram = read_moments(tmp_path / "moments", layer, projection.reads)
            absolute = read_moments(tmp_path / "moments", layer, f"{projection.reads}.absolute")
            expected = x.T @ x
            assert gram.dtype == absolute.dtype == torch.float64 and torch.equal(gram, gram.mT)
            torch.testing.assert_close(gram, expected, rtol=1e-4, atol=1e-5 * max(expected.diag().max().item(), 1e-9))
            torch.testing.assert_close(absolute, x.abs().mean(0) if len(x) else absolute * 0, rtol=1e-4, atol=1e-5)
        cosines = torch.nn.functional.cosine_similarity(before.double(), after.double(), dim=-1)
        assert read_similarities(tmp_path / "moments")[layer] == pytest.approx(cosines.mean().item(), rel=1e-4, abs=1e-6)


def test_projections_that_share_an_input_read_the_very_same_values(family, tiny_model, windows):
    model = tiny_model(family)
    inputs, by_input = inputs_of(model, windows), defaultdict(list)
    for projection in family_of(model.config).projections:
        if (1, projection.role) in inputs:
            by_input[projection.reads].append(inputs[1, projection.role])
    assert all(torch.equal(first, other) for first, *others in by_input.values() for other in others)
    heads = [values[0] for values in by_input.values()]
    assert all(a.shape != b.shape or not torch.equal(a, b) for i, a in enumerate(heads) for b in heads[:i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_skeleton_computes_what_the_whole_model_computes(family, dtype, tiny_model, windows, tmp_path):
    """Bit for bit: the same buffers, the same weights; and none of a block's weights stay when it is done with."""
    tiny_model(family, dtype=torch.bfloat16).save_pretrained(tmp_path / "dense")
    whole, skeleton = load_model(tmp_path / "dense", dtype), open_skeleton(tmp_path / "dense", dtype)
    assert not skeleton.training and skeleton.dtype == dtype
    for name, buffer in whole.named_buffers():
        assert torch.equal(skeleton.get_buffer(name), buffer) and skeleton.get_buffer(name).dtype == buffer.dtype
    states, expected = open_stream(skeleton, windows, 3), open_stream(whole, windows, 3)
    for layer, block in enumerate(blocks_of(whole)):
        with resident(skeleton, layer) as loaded:
            assert not any(parameter.is_meta for parameter in loaded.parameters())
            states.states = run_block(loaded, layer, states)
        assert all(parameter.is_meta for parameter in loaded.parameters())
        expected.states = run_block(block, layer, expected)
        assert all(torch.equal(a, b) for a, b in zip(states.states, expected.states, strict=True))
    calibrate(whole, windows, tmp_path / "whole", {}, 3)
    calibrate(skeleton, windows, tmp_path / "skeleton", {}, 3)
    assert file_hash(tmp_path / "whole") == file_hash(tmp_path / "skeleton")


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "llama", "mixtral"])
def test_the_head_of_a_skeleton_may_be_tied(family, tiny_model, windows, tmp_path):
    tiny_model(family, tie_word_embeddings=True).save_pretrained(tmp_path / "dense")
    whole, skeleton = load_model(tmp_path / "dense"), open_skeleton(tmp_path / "dense")
    assert skeleton.get_output_embeddings().weight is skeleton.get_input_embeddings().weight
    assert torch.equal(skeleton.get_output_embeddings().weight, whole.get_output_embeddings().weight)


def test_hidden_states_streamed_through_the_blocks_are_the_models_own(family, tiny_model, windows):
    """In windows of any batch, although the other arguments of a block come from a single window."""
    model = tiny_model(family)
    own: dict[int, torch.Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _m, _a, out, i=i: own.__setitem__(i, out[0] if isinstance(out, tuple) else out))
        for i, block in enumerate(blocks_of(model))
    ]
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    stream = open_stream(model, windows, 3)
    assert [len(states) for states in stream.states] == [3, 3, 1]
    for layer, block in enumerate(blocks_of(model)):
        stream.states = run_block(block, layer, stream)
        torch.testing.assert_close(torch.cat(stream.states), own[layer], rtol=1e-4, atol=1e-4)


def test_calibration_leaves_no_hook_and_no_change_behind(family, tiny_model, windows, tmp_path):
    model = tiny_model(family)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        logits = model(windows).logits
    calibrate(model, windows, tmp_path / "moments", {}, 3)
    assert all("forward" not in vars(module) for module in model.modules())
    assert all(not module._forward_pre_hooks and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(model(windows).logits, logits)


def test_weights_that_are_not_numbers_name_the_layer(family, tiny_model, windows, tmp_path):
    model = tiny_model(family)
    model.get_submodule(module_path(family, 1, "o")).weight.data[2, 3] = math.nan
    with pytest.raises(NonFiniteError, match=r"layer 1: .*not finite.*float32.*damaged weights"):
        calibrate(model, windows, tmp_path / "moments", {}, 3)
    assert not (tmp_path / "moments").exists()


def test_damaged_embeddings_are_found_in_the_first_layer(family, tiny_model, windows, tmp_path):
    model = tiny_model(family)
    model.get_input_embeddings().weight.data[windows[5, 2]] = math.inf
    with pytest.raises(NonFiniteError, match="layer 0: "):
        calibrate(model, windows, tmp_path / "moments", {}, 3)
