"""The dense model rounded: the numbers of an own rounding in float64, the bits that it takes, and the models that cannot be."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from drank.models import rounding
from drank.models.checkpoint import load_model, save
from drank.models.rounding import refusal, round_projections
from drank.models.tensors import size_of
from drank.models.weights import Checkpoint
from drank.runtime.files import write_json

SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16}
BLOCK = 32


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A random Llama whose first row of weights is zero, and whose head is its own."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=11, **SHAPE, tie_word_embeddings=False, initializer_range=0.3))
    model.model.layers[0].mlp.up_proj.weight.data[0] = 0
    folder = tmp_path_factory.mktemp("dense")
    model.save_pretrained(folder)
    return folder


def rounded(dense, folder, bits, dtype="float32"):
    """The dense model rounded, in a folder of its own."""
    model = load_model(dense, dtype)
    describe = round_projections(model, bits, BLOCK)

    def documents(directory):
        describe(str(directory))
        return {}

    save(model, None, None, folder, documents=documents)
    return folder


def by_hand(weight, bits):
    """Round to the nearest in float64, with scales of bfloat16: what is beyond the last number becomes the last."""
    blocks = weight.double().unflatten(-1, (-1, BLOCK))
    scale = (blocks.abs().amax(-1, keepdim=True) / ((2**bits - 1) / 2)).bfloat16().double()
    numbers = (blocks / scale).round().nan_to_num().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return (numbers * scale).flatten(-2)


def run(model):
    with torch.inference_mode():
        return model(torch.arange(11)[None]).logits


@pytest.mark.parametrize("bits", [8, 4, 3])
def test_weights_are_those_of_a_rounding_by_hand_and_nothing_else_is_touched(dense, tmp_path, bits):
    model, exact = load_model(rounded(dense, tmp_path / "rounded", bits)), load_model(dense)
    logits = run(model)  # transformers unpacks what is packed as it first computes
    state = model.state_dict()
    for name, weight in exact.state_dict().items():
        expected = by_hand(weight, bits) if "_proj" in name else weight.double()
        assert (state[name].double() - expected).abs().max() < 1e-6, name
        exact.get_parameter(name).data = expected.float()
    assert (run(exact) - logits).abs().max() < 1e-5
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "rounded", dtype=torch.float32)
    assert torch.equal(run(alone), logits), "transformers reads it without drank"


def test_half_precision_rounds_to_the_same_numbers(dense, tmp_path):
    half = load_model(dense, "bfloat16")
    half.save_pretrained(tmp_path / "half")
    one, other = (rounded(tmp_path / "half", tmp_path / dtype, 8, dtype) for dtype in ("bfloat16", "float32"))
    one, other = (load_file(folder / "model.safetensors") for folder in (one, other))
    packed = [name for name in one if "packed" in name or "scale" in name]
    assert len(packed) == 2 * 14 and all(torch.equal(one[name], other[name]) for name in packed)
    assert one["lm_head.weight"].dtype == torch.bfloat16 and other["lm_head.weight"].dtype == torch.float32


@pytest.mark.parametrize("bits", [8, 4])
def test_files_hold_so_many_bits_a_weight_and_a_scale_of_16_for_each_block(dense, tmp_path, bits):
    tensors = load_file(rounded(dense, tmp_path / "rounded", bits) / "model.safetensors")
    weights = load_file(dense / "model.safetensors")
    count = sum(weight.numel() for name, weight in weights.items() if "_proj" in name)
    rest = sum(weight.nbytes for name, weight in weights.items() if "_proj" not in name)
    shapes = sum(tensor.nbytes for name, tensor in tensors.items() if name.endswith("weight_shape"))
    assert shapes == 14 * 2 * 8
    assert size_of(tmp_path / "rounded").bytes == count * (bits + 16 / BLOCK) / 8 + rest + shapes


def test_models_whose_projections_are_no_linear_modules_or_not_as_wide_are_refused(dense, tmp_path):
    assert refusal(Checkpoint(dense), 32) is refusal(Checkpoint(dense), 8) is None
    assert refusal(Checkpoint(dense), 64) == (
        "blocks of 64 do not divide the inputs of its projections (down 96); blocks of 32, or of a divisor of it, do"
    )
    for config, held in (
        ({"model_type": "gpt2", "n_layer": 1}, "its projections as Conv1D"),
        ({"model_type": "mixtral", "num_hidden_layers": 1, "num_local_experts": 2}, "its experts as one tensor"),
    ):
        write_json(tmp_path / "config.json", config)
        assert refusal(Checkpoint(tmp_path), 32) == (
            f"compressed-tensors rounds modules of the kind nn.Linear, and transformers holds {held}"
        )


def test_without_the_library_it_says_what_to_install(monkeypatch):
    rounding.require()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="`pip install compressed-tensors` into the environment"):
        rounding.require()
