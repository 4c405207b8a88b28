"""What `drank.optimize` cannot run as it is asked to is refused, and says what to do."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from drank.models.execution.optimize import optimize


def test_what_cannot_be_run_so_is_refused(compress, tmp_path) -> None:
    model, _ = compress("llama")
    with pytest.raises(ValueError, match="no variant 'quick'"):
        optimize(model, "quick")
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        optimize(copy.deepcopy(model).train())
    adapted = copy.deepcopy(model)
    adapted.model.layers[1].mlp.up_proj.coefficients = torch.nn.Sequential(adapted.model.layers[1].mlp.up_proj.coefficients)
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.up_proj"):
        optimize(adapted)
    wrapped = get_peft_model(compress("llama", dense=("o",))[0], LoraConfig(target_modules=["o_proj"])).base_model.model.eval()
    with pytest.raises(ValueError, match=r"3 modules of this model have an adapter \(model\.layers\.0\.self_attn\.o_proj, …\); merge it"):
        optimize(wrapped)
    spread = copy.deepcopy(model)
    spread._hf_hook = object()
    with pytest.raises(ValueError, match="spread by accelerate"):
        optimize(spread, "compiled")
    with pytest.raises(ValueError, match="not in memory"):
        optimize(copy.deepcopy(model).to("meta"))
    optimize(model)
    with pytest.raises(ValueError, match="runs fused already"):
        optimize(model)
    with pytest.raises(ValueError, match="save it before"):
        model.save_pretrained(tmp_path / "out")
    assert not any(tmp_path.iterdir())
