"""Rounds of a model whose cache has a fixed size write into one cache, and read nothing of what it held before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

from drank.evaluation.generation import decode, prefill, prompts
from drank.evaluation.lineup import Lineup
from drank.evaluation.loaded import Loaded
from drank.evaluation.tensor_memory import cache_bytes
from drank.evaluation.timing import Machine
from tests.contract.conftest import CONFIGS, build_model

pytestmark = pytest.mark.filterwarnings("ignore:.*cache_implementation")


def fixed(family: str) -> Any:
    """A model that asks for a cache of fixed size, as one does whose decoding is compiled."""
    model = build_model(family)
    model.generation_config.cache_implementation = "static"
    return model


@pytest.mark.parametrize("family", ["llama", "gemma2"])  # whose windows slide
def test_every_round_says_what_one_with_a_new_cache_says_and_keeps_its_place(family: str) -> None:
    model, said, places = fixed(family), [], []

    def note(_module: Any, _args: Any, output: Any) -> None:
        said.append(output.logits.clone())
        places.append([layer.keys.data_ptr() for layer in output.past_key_values.layers])

    model.register_forward_hook(note)
    loaded = Loaded(model, prompts(model, 2, 6, 0), 4)
    with torch.inference_mode():
        loaded.round()
        loaded._ids = prompts(model, 2, 6, 1)
        loaded.round()
        decode(model, prefill(model, prompts(model, 2, 6, 1), 4), 4)
    assert len(said) == 3 * 5 and places[:5] == places[5:10] and places[0] != places[10]
    assert all(map(torch.equal, said[5:10], said[10:])) and not torch.equal(said[0], said[5])


def test_what_a_kept_cache_takes_is_in_the_memory_of_the_model_as_before() -> None:
    model = fixed("llama")
    loaded = Loaded(model, prompts(model, 2, 6, 0), 4)
    with torch.inference_mode():
        before = loaded.counted(Machine()).memory
        loaded.round()
        assert loaded.counted(Machine()).memory == before
    assert before["peak_tensor_bytes"] > before["model_bytes"] + before["cache_bytes"]


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama", "opt", "phi3", "qwen2", "qwen3"])
def test_the_bytes_of_caches_follow_from_configurations(family: str, tmp_path: Path) -> None:
    AutoConfig.for_model(family, **CONFIGS[family]).save_pretrained(tmp_path)
    model = build_model(family)
    with torch.inference_mode():
        last = decode(model, prefill(model, prompts(model, 2, 6, 0), 4), 4)
    lineup = Lineup({"one": str(tmp_path)}, {"one": tmp_path}, None, {})
    assert lineup.caches({"batch": 2, "prompt": 6, "generate": 4}, "float32") == cache_bytes(last.past_key_values)
