"""Transformers' tensor and expert parallelism knows no low-rank layers: nothing is left of its plans, and to ask for it is an error."""

from __future__ import annotations

import pytest
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.distributed import DistributedConfig

from drank.models.checkpoint import save
from tests.unit.models.converted_llama import PLAN, converted


@pytest.fixture
def made(tmp_path):
    model = converted()
    assert model._tp_plan, "of the dense model"
    save(model, None, PLAN.groups, tmp_path / "made")
    return tmp_path / "made"


@pytest.mark.parametrize("kind", [AutoModelForCausalLM, AutoModel])
def test_a_loaded_model_has_no_plan_of_what_to_share_out(kind, made):
    model = kind.from_pretrained(made)
    for part in (model, model.base_model):
        assert part._tp_plan == part._ep_plan == {}


@pytest.mark.parametrize("asked", [{"tp_size": 2}, {"ep_size": 2, "fsdp_size": 2}])
def test_to_share_out_is_refused(asked, made):
    config = AutoConfig.from_pretrained(made)
    config.distributed_config = DistributedConfig(**asked)
    with pytest.raises(ValueError, match=rf"{next(iter(asked))}=2\); load it without tp_plan"):
        AutoModelForCausalLM.from_pretrained(made, config=config)


def test_what_shares_out_nothing_is_loaded(made):
    config = AutoConfig.from_pretrained(made)
    config.distributed_config = DistributedConfig(tp_size=1)
    AutoModelForCausalLM.from_pretrained(made, config=config)
