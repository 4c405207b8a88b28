"""vLLM with drank's plug-in says what transformers says, and refuses what is not whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.groups import Group, Shape
from drank.models.storage import STORAGES
from tests.vllm.conftest import DENSE_FAMILIES, KINDS, Model, assert_the_same, build, said_by, served

Models = dict[tuple[str, str, str], Model]
Tensors = dict[str, torch.Tensor]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("family", DENSE_FAMILIES)
def test_it_says_what_transformers_says(models: Models, family: str, storage: str, kind: str) -> None:
    model = models[family, storage, kind]
    assert_the_same(served(model.directory), model.said)


def changed(model: Model, folder: Path, change: Callable[[Tensors], None]) -> Path:
    """A copy of a model with other tensors."""
    shutil.copytree(model.directory, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_other_factors_say_something_else(models: Models, family: str, tmp_path: Path) -> None:
    """The control of the test above: the coefficients of two layers in each other's place."""
    model = models[family, "factors", "shared"]
    last = "mlp.c_proj" if family == "gpt2" else "mlp.down_proj"

    def swap(tensors: Tensors) -> None:
        first, second = [name for name in tensors if name.endswith(f"{last}.coefficients.weight")][:2]
        tensors[first], tensors[second] = tensors[second], tensors[first]

    found = served(changed(model, tmp_path / "swapped", swap))
    assert [tokens for tokens, _ in found] != [tokens for tokens, _ in model.said]


def test_square_factors_are_not_turned_around(tmp_path: Path) -> None:
    """Of GPT-2 vLLM turns around every matrix of a projection, and of a square one the shape does not tell."""
    model = build("gpt2", tmp_path / "square", keep=1.0)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes["transformer.h.0.attn.c_proj.basis.weight"] == shapes["transformer.h.0.attn.c_proj.coefficients.weight"] == (128, 128)
    assert_the_same(served(tmp_path / "square"), said_by(model))


def drop(ending: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        del tensors[next(name for name in tensors if name.endswith(ending))]

    return change


def narrow(ending: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        name = next(name for name in tensors if name.endswith(ending))
        tensors[name] = tensors[name][:-1]

    return change


def repeat_a_pivot(tensors: Tensors) -> None:
    next(tensor for name, tensor in tensors.items() if name.endswith("o_proj.pivots"))[:2] = 3


def add_a_bias(tensors: Tensors) -> None:
    tensors["model.layers.1.mlp.down_proj.coefficients.bias"] = torch.zeros(128)


DAMAGES = {
    "basis": (drop("q_proj.basis.weight"), "q_proj.basis.weight"),
    "coefficients": (drop("1.self_attn.k_proj.coefficients.weight"), "layers.1.self_attn.k_proj.coefficients.weight"),
    "bias": (drop("q_proj.coefficients.bias"), "q_proj.coefficients.bias"),
    "norm": (drop("post_attention_layernorm.weight"), "post_attention_layernorm.weight"),
    "pivots": (drop("down_proj.pivots"), "down_proj.pivots"),
    "rank": (narrow("up_proj.basis.weight"), "up_proj.basis.weight"),
    "outputs": (narrow("gate_proj.coefficients.weight"), "gate_proj.coefficients.weight"),
    "same pivots": (repeat_a_pivot, "o_proj"),
    "one bias more": (add_a_bias, "down_proj.coefficients.bias"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_that_is_not_whole_is_refused(models: Models, damage: str, tmp_path: Path) -> None:
    change, named = DAMAGES[damage]
    folder = changed(models["qwen2", "pivoted", "shared"], tmp_path / "damaged", change)
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        served(folder)


def test_a_directory_is_looked_at_by_whatever_way_it_is_loaded(models: Models, tmp_path: Path) -> None:
    folder = changed(models["llama", "factors", "shared"], tmp_path / "damaged", drop("q_proj.basis.weight"))
    with pytest.raises(ValueError, match=r"q_proj\.basis\.weight"):
        served(folder, load_format="pt")


def test_what_vllm_would_leave_out_is_refused(models: Models, tmp_path: Path) -> None:
    """A head that the configuration ties to an embedding of other numbers, and an adapter."""
    folder = changed(models["llama", "factors", "shared"], tmp_path / "other", lambda tensors: None)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    with pytest.raises(ValueError, match=r"lm_head\.weight with other numbers"):
        served(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds an adapter"):
        served(folder)


def test_a_description_of_another_rank_is_refused(models: Models, tmp_path: Path) -> None:
    folder = changed(models["llama", "factors", "shared"], tmp_path / "other", lambda tensors: None)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["groups"][0]["rank"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"basis\.weight"):
        served(folder)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_a_mixture_is_refused_by_name(family: str, tmp_path: Path) -> None:
    build(family, tmp_path / "mixture", group=1)
    with pytest.raises(ValueError, match=rf"{family}.* --to dense"):
        served(tmp_path / "mixture")


def test_dummy_weights_are_refused(models: Models) -> None:
    with pytest.raises(ValueError, match="no dummy weights"):
        served(models["llama", "pivoted", "shared"].directory, load_format="dummy")


def test_a_group_is_in_as_many_stages_as_its_layers() -> None:
    """Of a pipeline whose stages end before layers 2, 4 and 5."""
    from drank.models.serving.quantization import _stages

    for layers, stages in {(0, 1): 1, (1, 2): 2, (2, 3): 1, (0, 4): 2, (1, 3, 4): 3, (4,): 1}.items():
        assert _stages(Group(Shape("q", layers, 8, 8), 3.0, 3), [2, 4, 5]) == stages


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("storage", STORAGES)
def test_in_half_precision_it_says_nearly_the_same(models: Models, storage: str, precision: str) -> None:
    """Rounding may turn a token, and all that follows: the first of each prompt is as likely as in float32."""
    model = models["llama", storage, "mixed"]
    for (tokens, likely), (expected, wanted) in zip(served(model.directory, dtype=precision), model.said, strict=True):
        assert abs(likely[0] - wanted[0]) < 0.05
        assert tokens[0] == expected[0] or precision == "bfloat16"


def test_compiled_it_says_the_same(models: Models) -> None:
    """As vLLM runs by default; what it compiles it must be able to trace whole."""
    model = models["llama", "pivoted", "mixed"]
    assert_the_same(served(model.directory, enforce_eager=False), model.said)
