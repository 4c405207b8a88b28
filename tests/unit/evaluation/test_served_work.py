"""What is asked of a model that vLLM runs, counted without it: where layers look back no further than a window, where it is
packed, and where values decide what runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from drank.evaluation.lineup import Lineup
from drank.evaluation.loaded import Loaded
from drank.evaluation.served.workload import Workload
from drank.evaluation.timing import Machine
from drank.models.checkpoint import load_model, save
from drank.models.rounding import round_projections
from tests.contract.conftest import CONFIGS


def test_a_long_prompt_has_room_in_all_layers(tmp_path: Path) -> None:
    config = AutoConfig.for_model("gemma2", **CONFIGS["gemma2"])
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    work = Workload(tmp_path, {"batch": 2, "prompt": 40, "generate": 4}, None, "float32")
    whole = 2 * 4 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2 * 45
    assert config.sliding_window < 40 and work.cache < whole, "after it transformers keeps the window"
    assert work.room > whole


def test_what_others_packed_is_counted_as_it_is_packed(tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 50}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **shape)).save_pretrained(tmp_path / "dense")
    model = load_model(tmp_path / "dense", "float32")
    describe = round_projections(model, 8, 32)
    save(model, None, None, tmp_path / "rounded", documents=lambda folder: describe(str(folder)) or {})
    dense, rounded = (Workload(tmp_path / name, {"batch": 2, "prompt": 6, "generate": 4}, None, "float32") for name in ("dense", "rounded"))
    assert (rounded.read, rounded.written, rounded.cache) == (dense.read, dense.written, dense.cache)
    assert rounded.weights < dense.weights / 2
    two = Lineup.of({name: str(tmp_path / name) for name in ("dense", "rounded")}, None, {})
    alone = Lineup.of({"dense": str(tmp_path / "dense")}, None, {})
    assert two.weights(4) == len(two.paths) * alone.weights(4), "it is unpacked when it runs in transformers"


@pytest.mark.parametrize(
    ("family", "told"),
    [("mixtral", {"num_local_experts": 4}), ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}})],
)
def test_what_hangs_on_values_is_counted_with_them(family: str, told: dict[str, Any], tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 2}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape, **told, vocab_size=50)).save_pretrained(tmp_path)
    work = Workload(tmp_path, {"batch": 2, "prompt": 6, "generate": 4}, None, "float32")
    loaded = Loaded(load_model(tmp_path, "float32").eval(), work.ids, 4)
    with torch.inference_mode():
        here = loaded.counted(Machine())
    assert {"prefill": work.read, "decode": 4 * work.written} == {phase: asked.operations for phase, asked in here.work.items()}
