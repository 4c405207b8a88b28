"""Decoding of a model that `drank.optimize` compiled is one graph, says what it said, and where it cannot be one there is an error."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import DynamicCache, StaticCache

from drank.models.conversion import convert, store
from drank.models.execution.compiled import not_compiled, said_not_compiled
from drank.models.execution.optimize import optimize
from drank.models.execution.product import Product

pytestmark = pytest.mark.filterwarnings("ignore:.*cache_implementation")


@pytest.mark.parametrize(("variant", "family"), [("compiled", "llama"), ("compiled", "gpt2"), ("prepacked", "llama")])
def test_a_compiled_model_decodes_what_it_decoded_in_one_graph(compress, tokens, variant, family) -> None:
    torch._dynamo.reset()
    model, _ = compress(family, group=1)
    told: dict[str, Any] = {"max_length": tokens.shape[1] + 8, "eos_token_id": None, "do_sample": False}
    prompts = (tokens, tokens.flip(1)[:, 3:])
    before = [model.generate(prompt, **told) for prompt in prompts]
    torch._dynamo.utils.counters.clear()
    optimize(model, variant)
    for prompt, expected in zip(prompts, before, strict=True):  # the second on another cache of that size, by the same graph
        assert torch.equal(model.generate(prompt, **told), expected)
    counted = torch._dynamo.utils.counters
    assert counted["stats"]["unique_graphs"] == 1 and not counted["graph_break"]
    assert counted["frames"]["ok"] == counted["frames"]["total"]
    assert (counted["inductor"]["mkldnn_linear_weight_pack_matcher_count"] > 0) == (variant == "prepacked")


def test_what_a_caller_gives_else_is_decoded_as_without_a_graph(compress, tokens) -> None:
    """Left padding, several batch sizes, longer caches, beams: each is a graph of its own, and none reads what another left."""
    torch._dynamo.reset()
    model, _ = compress("llama", group=2)
    padded = torch.ones_like(tokens)
    padded[0, :5] = 0
    asked: list[dict[str, Any]] = [
        {"attention_mask": padded, "max_new_tokens": 4},
        {"attention_mask": padded, "max_new_tokens": 9},
        {"max_new_tokens": 4, "num_beams": 3},
        {"attention_mask": padded.flip(0), "max_new_tokens": 4},
    ]
    told: dict[str, Any] = {"do_sample": False, "eos_token_id": None}
    before = [model.generate(tokens, **one, **told) for one in asked]
    single = model.generate(tokens[1:], max_new_tokens=4, **told)
    optimize(model, "prepacked")
    for one, expected in zip(asked, before, strict=True):
        assert torch.equal(model.generate(tokens, **one, **told), expected), one
    assert torch.equal(model.generate(tokens[1:], max_new_tokens=4, **told), single)


def test_a_token_given_by_position_is_decoded_by_the_graph_and_one_with_gradients_tells_that_it_is_not(tiny_model, tokens) -> None:
    torch._dynamo.reset()
    model = optimize(tiny_model("llama"), "compiled")
    cache = StaticCache(model.config, max_cache_len=32)
    with torch.inference_mode():
        model(tokens, past_key_values=cache)
        torch._dynamo.utils.counters.clear()
        model(tokens[:, :1], past_key_values=cache)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    with torch.no_grad():
        cache = StaticCache(model.config, max_cache_len=32)
        model(tokens, past_key_values=cache)
    with pytest.warns(UserWarning, match="without gradients"):
        model(tokens[:, :1], past_key_values=cache)


def test_as_many_ranks_as_layers_are_one_graph(tiny_model, tiny_plan, svd_factors, tokens, storage) -> None:
    torch._dynamo.reset()
    model = tiny_model("llama", num_hidden_layers=12)
    plan = tiny_plan(model)
    groups = [
        replace(group, rank=2 + group.shape.layers[0], shape=replace(group.shape, storage=storage))  # dynamo gives up after eight
        for group in plan.groups
    ]
    convert(model, groups, svd_factors(model, replace(plan, groups=tuple(groups))))
    store(model, groups, {})
    told: dict[str, Any] = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "attention_mask": torch.ones_like(tokens)}
    before = model.generate(tokens, **told)
    torch._dynamo.utils.counters.clear()
    after = optimize(model, "compiled").generate(tokens, **told)
    assert torch.equal(after, before)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    with torch.inference_mode():  # prefill, and what has no cache of fixed size, runs as it did
        assert model(input_ids=tokens[:, :1]).logits.shape[1] == 1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_more_models_are_compiled_in_one_process_than_torch_allows_graphs_of_one_function(tiny_model, tokens) -> None:
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=2):
        for seed in range(3):
            model = tiny_model("llama", num_hidden_layers=1 + seed)
            before = model.generate(tokens, max_new_tokens=3, min_new_tokens=3, do_sample=False)
            assert torch.equal(optimize(model, "compiled").generate(tokens, max_new_tokens=3, min_new_tokens=3, do_sample=False), before)


def test_a_copy_of_a_compiled_model_runs_itself(tiny_model, tokens) -> None:
    torch._dynamo.reset()
    told: dict[str, Any] = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False}
    model = optimize(tiny_model("llama"), "compiled")
    model.generate(tokens, **told)
    copied, other = copy.deepcopy(model), tiny_model("llama", seed=1)
    copied.load_state_dict(other.state_dict())
    assert torch.equal(copied.generate(tokens, **told), other.generate(tokens, **told))
    assert torch.equal(
        copied.generate(tokens, cache_implementation=None, past_key_values=DynamicCache(), **told), other.generate(tokens, **told)
    )


@pytest.mark.parametrize(("family", "reason"), [("gemma2", "sliding window"), ("mistral", "sliding window"), ("mixtral", "experts")])
def test_what_cannot_be_one_graph_is_refused_before_anything_is_changed(tiny_model, tokens, family, reason) -> None:
    model = tiny_model(family)
    with pytest.raises(ValueError, match=f"this {family} model cannot run compiled: .*{reason}.*; run it fused"):
        optimize(model, "compiled")
    assert not hasattr(model, "execution") and not any(isinstance(module, Product) for module in model.modules())


def test_weights_are_not_packed_for_a_gpu(tiny_model, monkeypatch) -> None:
    model = tiny_model("llama")
    monkeypatch.setattr(type(model), "device", torch.device("cuda:0"))
    with pytest.raises(ValueError, match=r"cannot run prepacked on cuda:0: a GPU has no layout .*; run it compiled"):
        optimize(model, "prepacked")
    assert not hasattr(model, "execution")


def test_a_prompt_of_one_token_is_read_outside_the_graph(tiny_model, tokens) -> None:
    torch._dynamo.reset()
    told: dict[str, Any] = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    model = tiny_model("llama")
    before = model.generate(tokens[:, :1], **told)
    torch._dynamo.utils.counters.clear()
    assert torch.equal(optimize(model, "compiled").generate(tokens[:, :1], **told), before)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_what_a_configuration_says_is_what_the_model_finds(family, tiny_model) -> None:
    model = tiny_model(family)
    assert said_not_compiled(model.config.to_dict()) == not_compiled(model)


@pytest.mark.parametrize("slides", [{}, {"use_sliding_window": True}, {"use_sliding_window": True, "max_window_layers": 1}])
def test_a_window_that_is_not_asked_for_does_not_slide(slides, tiny_model) -> None:
    model = tiny_model("qwen2", sliding_window=8, **slides)
    raw = {"model_type": "qwen2", "num_hidden_layers": model.config.num_hidden_layers, "sliding_window": 8, **slides}
    assert said_not_compiled(raw) == not_compiled(model)
