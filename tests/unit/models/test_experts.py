"""drank.models.experts: mixtures taken apart compute what the fused ones do, without a copy of their weights."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from drank.models.experts import Expert, Experts, renamings, unfuse
from drank.models.families import UnknownFamilyError, projections_of

SMALL = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 4}
CONFIGS = {
    "mixtral": SMALL | {"intermediate_size": 12, "num_local_experts": 4, "num_experts_per_tok": 2, "initializer_range": 0.4},
    "qwen3_moe": SMALL | {"moe_intermediate_size": 12, "num_experts": 4, "num_experts_per_tok": 2, "initializer_range": 0.4},
}


@pytest.fixture(params=CONFIGS)
def fused(request):
    """A model as transformers builds it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(request.param, **CONFIGS[request.param])).eval()


@pytest.fixture
def tokens():
    return torch.randint(0, 30, (2, 7), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits(model, tokens):
    return model(tokens, use_cache=False).logits


def test_outputs_are_equal(fused, tokens):
    plain = unfuse(copy.deepcopy(fused))
    assert logits(fused, tokens).abs().max() > 0.05
    torch.testing.assert_close(logits(plain, tokens), logits(fused, tokens))
    fused.set_experts_implementation("eager")
    torch.testing.assert_close(logits(plain.double(), tokens), logits(fused.double(), tokens), rtol=1e-12, atol=1e-12)


def test_no_weight_is_copied(fused):
    experts = [block.mlp.experts for block in fused.model.layers]
    plain = unfuse(fused)
    assert plain is fused
    assert all(isinstance(block.mlp.experts, Experts) for block in fused.model.layers)
    for before, block in zip(experts, fused.model.layers, strict=True):
        for number, expert in enumerate(block.mlp.experts):
            for projection, view in (
                (expert.gate_proj, before.gate_up_proj[number, :12]),
                (expert.up_proj, before.gate_up_proj[number, 12:]),
                (expert.down_proj, before.down_proj[number]),
            ):
                assert projection.weight.data_ptr() == view.data_ptr() and projection.weight.is_leaf
                assert torch.equal(projection.weight, view)


def test_hooks_see_the_tokens_that_the_router_gives(fused, tokens):
    plain = unfuse(fused)
    block, seen, chosen = plain.model.layers[1].mlp, {}, []
    block.gate.register_forward_hook(lambda _module, args, output: chosen.append((args[0], output[2])))
    for number, expert in enumerate(block.experts):
        expert.gate_proj.register_forward_pre_hook(lambda _module, args, number=number: seen.setdefault(number, []).append(args[0]))
    logits(plain, tokens[:1, :3])
    ((states, index),) = chosen
    assert set(seen) == set(index.flatten().tolist())
    for number, (rows,) in seen.items():
        assert torch.equal(rows, states[(index == number).any(dim=1)])


def test_an_expert_without_tokens_does_not_run(fused):
    plain = unfuse(fused)
    experts = plain.model.layers[0].mlp.experts
    ran = []
    for number, expert in enumerate(experts):
        expert.register_forward_hook(lambda *_args, number=number: ran.append(number))
    states, weights = torch.randn(3, 8), torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]])
    index = torch.tensor([[2, 0], [0, 2], [2, 0]])
    with torch.no_grad():
        result = experts(states, index, weights)
        expected = sum(weights[:, [k]] * torch.stack([experts[e](x) for e, x in zip(index[:, k], states, strict=True)]) for k in (0, 1))
    assert set(ran[:2]) == {0, 2} == set(ran)
    torch.testing.assert_close(result, expected)


def test_gradients_reach_every_matrix(fused, tokens):
    plain = unfuse(copy.deepcopy(fused))
    for model in (plain, fused):
        model(tokens, labels=tokens, use_cache=False).loss.backward()
    for layer, (block, reference) in enumerate(zip(plain.model.layers, fused.model.layers, strict=True)):
        for number, expert in enumerate(block.mlp.experts):
            both = reference.mlp.experts.gate_up_proj.grad[number]
            for name, expected in zip(("gate", "up", "down"), (*both.chunk(2), reference.mlp.experts.down_proj.grad[number]), strict=True):
                found = getattr(expert, f"{name}_proj").weight.grad
                torch.testing.assert_close(torch.zeros_like(expected) if found is None else found, expected, msg=f"{layer} {number} {name}")


def test_unfusing_again_and_other_models_change_nothing(fused):
    before = list(unfuse(fused).modules())
    assert list(unfuse(fused).modules()) == before
    llama = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL | {"intermediate_size": 6}))
    modules = list(llama.modules())
    assert unfuse(llama) is llama and list(llama.modules()) == modules


def test_works_without_weights():
    with torch.device("meta"):
        model = unfuse(AutoModelForCausalLM.from_config(AutoConfig.for_model("mixtral", **CONFIGS["mixtral"])))
    paths = {projection.path for _, projection, module in projections_of(model) if module.weight.is_meta}
    assert "mlp.experts.3.down_proj" in paths and len(paths) == 4 + 3 * 4


def test_another_layout_is_refused(fused):
    fused.model.layers[1].mlp.experts.is_transposed = True
    with pytest.raises(UnknownFamilyError, match=r"layer 1: the \w+Experts of this \w+ model must have is_transposed = False; teach"):
        unfuse(fused)


def test_mode_follows_the_model(fused):
    assert not any(module.training for module in unfuse(fused.eval()).modules())


def test_one_expert_is_a_gated_network():
    gate, up, down = torch.randn(5, 3), torch.randn(5, 3), torch.randn(3, 5)
    x = torch.randn(4, 3)
    expert = Expert(gate, up, down, torch.nn.SiLU())
    torch.testing.assert_close(expert(x), (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T)


def test_renamings_are_those_of_the_family():
    assert renamings("llama") == renamings("qwen3_moe") == []
    (renaming,) = renamings("gpt_neox")
    assert renaming.rename_source_key("embed_out.weight")[0] == "lm_head.weight"
    assert renaming.reverse_transform().rename_source_key("lm_head.weight")[0] == "embed_out.weight"
