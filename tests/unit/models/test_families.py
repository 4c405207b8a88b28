"""Families are data: what is asked about them, and what an unknown one is told."""

import re
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from drank.models.families import (
    FAMILIES,
    UnknownFamilyError,
    blocks_of,
    context_of,
    family_of,
    kind_of,
    layers_of,
    module_path,
    projections_of,
)

EXPERTS = {"num_local_experts": 3}


def config_of(name, **more):
    return {"model_type": name} | EXPERTS | more


@pytest.fixture
def built():
    """A model of a family on the meta device, as transformers builds it."""

    def build(name, **options):
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, num_hidden_layers=2, **options))

    return build


def test_an_unknown_family_is_told_near_names_what_was_looked_for_and_the_remedy():
    with pytest.raises(
        UnknownFamilyError,
        match=r"not a family drank knows \(did you mean llama\?\).*looked for it among: .*FAMILIES in drank\.models\.families an entry",
    ):
        family_of({"model_type": "lamma"})


@pytest.mark.parametrize("config", [{"model_type": "zzz"}, {}, SimpleNamespace(model_type="zzz")])
def test_a_family_like_no_other_is_told_all_that_are_known(config):
    with pytest.raises(UnknownFamilyError) as caught:
        family_of(config)
    assert "near" not in str(caught.value)
    assert all(name in str(caught.value) for name in FAMILIES)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", FAMILIES)
def test_roles_and_paths_are_unique_within_a_block(name):
    projections = family_of(config_of(name)).projections
    assert len({projection.role for projection in projections}) == len({projection.path for projection in projections}) == len(projections)
    assert not any("{" in text for projection in projections for text in (projection.role, projection.path, projection.reads))


@pytest.mark.parametrize("name", FAMILIES)
def test_output_projections_stay_alone(name):
    """D-Rank and Basis Sharing group what reads the residual stream, never O and down."""
    family = family_of(config_of(name))
    kinds = {kind_of(role) for role in family.roles}
    assert not family.grouped & {"o", "down"}
    assert {"q", "k", "v"} <= family.grouped & kinds or "qkv" in family.grouped & kinds
    reads = {kind_of(projection.role): projection.reads for projection in family.projections}
    attention = {reads[kind] for kind in ("q", "k", "v", "qkv") if kind in kinds}
    assert len(attention) == 1 and reads["o"] not in attention


@pytest.mark.parametrize("name", FAMILIES)
def test_every_matrix_of_a_block_is_compressed_but_the_router(name):
    """By transformers' own code: no two-dimensional parameter of a block is left out, and none is named that is not there."""
    with torch.device("meta"):
        config = AutoConfig.for_model(name, num_hidden_layers=2, pad_token_id=0, **EXPERTS)
        model = AutoModelForCausalLM.from_config(config)
    (block, *_) = blocks_of(model)
    matrices = {name.removesuffix(".weight") for name, parameter in block.named_parameters() if parameter.ndim == 2}
    named = {projection.path for projection in family_of(config).projections if "experts" not in projection.path}
    assert named == matrices - {"mlp.gate"}
    assert len(blocks_of(model)) == layers_of(config) == layers_of(config.to_dict()) == 2


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe"])
@pytest.mark.parametrize("key", ["num_local_experts", "num_experts"])
def test_mixtures_have_projections_for_each_expert(name, key):
    """Hub configurations of Qwen3-MoE say num_experts; transformers 5 writes num_local_experts."""
    family = family_of({"model_type": name, key: 2})
    assert family.roles == ("q", "k", "v", "o", "gate.0", "gate.1", "up.0", "up.1", "down.0", "down.1")
    by_role = {projection.role: projection for projection in family.projections}
    assert by_role["up.1"].path == "mlp.experts.1.up_proj"
    assert by_role["gate.1"].reads == by_role["up.1"].reads == "expert.1"
    assert by_role["down.1"].reads == "expert-hidden.1"
    assert family_of(AutoConfig.for_model(name, **{key: 2})) == family
    with pytest.raises(UnknownFamilyError, match="no num_local_experts or num_experts; complete its config"):
        family_of({"model_type": name})


@pytest.mark.parametrize(
    ("name", "unlike"),
    [("qwen3_moe", {"mlp_only_layers": [0]}), ("qwen3_moe", {"decoder_sparse_step": 2}), ("gpt2", {"add_cross_attention": True})]
    + [(name, {"use_bidirectional_attention": True}) for name in ("gemma2", "gemma3_text")],
)
def test_models_of_another_kind_than_their_family_are_refused(name, unlike):
    ((key, value),) = unlike.items()
    pattern = rf"this {name} model is not what .* has {key}: {re.escape(str(value))} \(must be .*\); compress another"
    for config in (config_of(name, **unlike), AutoConfig.for_model(name, **unlike)):
        with pytest.raises(UnknownFamilyError, match=pattern):
            family_of(config)


def test_kind_of():
    assert [kind_of(role) for role in ("gate.3", "down.12", "q", "gate_up")] == ["gate", "down", "q", "gate_up"]


def test_module_path():
    assert module_path("llama", 3, "q") == "model.layers.3.self_attn.q_proj"
    assert module_path("opt", 0, "down") == "model.decoder.layers.0.fc2"
    assert module_path("gpt2", 11, "qkv") == "transformer.h.11.attn.c_attn"
    assert module_path("mixtral", 2, "down.7") == "model.layers.2.mlp.experts.7.down_proj"
    assert re.fullmatch(r"[\w.]+", module_path("qwen3", 11, "gate"))
    for name, role in (("opt", "gate"), ("mixtral", "gate"), ("llama", "gate.3")):
        with pytest.raises(UnknownFamilyError, match=f"a {name} model has no role '{role}', only q, k, v, o, "):
            module_path(name, 0, role)


def test_code_that_differs_from_its_entry_is_refused(built):
    fused = built("mixtral", num_local_experts=2)
    with pytest.raises(UnknownFamilyError, match=r"layer 0 of this mixtral model has no 'mlp\.experts\.0\.gate_proj'.*load_model"):
        list(projections_of(fused))
    model = built("llama")
    model.model.blocks = model.model.layers
    del model.model.layers
    with pytest.raises(UnknownFamilyError, match=r"no decoder blocks at 'model\.layers' in a LlamaForCausalLM"):
        blocks_of(model)


def test_projections_come_layer_by_layer(built):
    found = [(layer, projection.role) for layer, projection, module in projections_of(built("phi3", pad_token_id=0))]
    assert found == [(layer, role) for layer in (0, 1) for role in ("qkv", "o", "gate_up", "down")]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_context_is_read_by_the_name_that_each_family_has_for_it(name):
    config = AutoConfig.for_model(name, max_position_embeddings=77)
    assert context_of(config) == context_of(config.to_dict()) == 77


@pytest.mark.parametrize("name", ["n_positions", "n_ctx", "max_seq_len", "max_sequence_length"])
def test_other_names_of_the_context_and_nested_ones_are_known(name):
    assert context_of({"model_type": "gpt2", name: 9}) == context_of({"model_type": "x", "text_config": {name: 9}}) == 9
    assert context_of({"model_type": "llama"}) is None and context_of({}) is None


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.positions])
def test_a_table_of_positions_has_its_rows_where_the_configuration_does_not_say_how_many(name):
    assert context_of({"model_type": name}) == AutoConfig.for_model(name).max_position_embeddings
