"""Every family: answers after a prompt that was read once score as those of prompt and answer read together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from drank.evaluation.zeroshot.likelihoods import log_likelihoods
from tests.contract.conftest import build_model
from tests.contract.forward import logits_of

ids = st.lists(st.integers(0, 249), min_size=1, max_size=20).map(tuple)


def together(model, prompt, answer):
    """The score of one answer in float64, out of one pass without cache."""
    logits = logits_of(model, torch.tensor([[*prompt, *answer]]))[0, len(prompt) - 1 : -1].double()
    own = logits.log_softmax(-1)[torch.arange(len(answer)), list(answer)]
    return own.sum().item(), logits.argmax(-1).tolist() == list(answer)


def check(model, pairs, batch):
    found = log_likelihoods(model, pairs, batch)
    assert len(found) == len(pairs)
    for (score, greedy), pair in zip(found, pairs, strict=True):
        wanted, likeliest = together(model, *pair)
        assert score == pytest.approx(wanted, rel=1e-4, abs=1e-4)
        assert greedy == likeliest


def test_a_prompt_read_once(tiny_model, family):
    told = {"output_router_logits": True, "use_cache": False} if "num_experts_per_tok" in tiny_model(family).config else {}
    model = tiny_model(family, **told)
    generator = torch.Generator().manual_seed(3)
    prompts = [tuple(torch.randint(0, 250, (length,), generator=generator).tolist()) for length in (20, 20, 9, 20, 1)]  # past the windows
    likeliest = int(logits_of(model, torch.tensor([prompts[0]]))[0, -1].argmax())
    answers = [(likeliest,), *(tuple(torch.randint(0, 250, (length,), generator=generator).tolist()) for length in (1, 4, 15))]
    pairs = [(prompt, answer) for answer in answers for prompt in prompts]
    for batch in (1, 5, 64):
        check(model, pairs, batch)
    assert any(greedy for _, greedy in log_likelihoods(model, pairs))


OTHERS = {
    "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 250},
    "lfm2": {"layer_types": ["conv", "full_attention"], "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 250}
    | {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 40},
}
"""Models of others that remember by states of their own, alone or beside keys and values."""


@pytest.mark.parametrize("other", OTHERS)
def test_a_model_with_another_memory_than_keys_and_values(other):
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(other, **OTHERS[other])).eval()
    pairs = [((5, 6, 7), (8, 9, 10)), ((5, 6, 7), (11,)), ((5, 6, 7), (12, 13)), ((1,), (2, 3))]
    check(model, pairs, 3)
    check(model, pairs[1:2], 3)


@pytest.fixture(scope="module")
def llama():
    return build_model("llama", seed=1)


@given(asked=st.lists(st.tuples(ids, ids), min_size=1, max_size=8), shared=ids, batch=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_any_pairs_in_any_batches(llama, asked, shared, batch):
    pairs = [*asked, *((shared, answer) for _, answer in asked), asked[0]]
    check(llama, pairs, batch)


@given(asked=st.lists(st.tuples(ids, ids), min_size=1, max_size=12), batch=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_no_more_answers_at_once_than_asked_for_and_none_twice(llama, asked, batch):
    read: list[int] = []
    log_likelihoods(llama, [*asked, *asked], batch, read.append)
    assert max(read) <= batch
    assert sum(read) == len(set(asked))


def test_a_prompt_is_read_once_for_its_answers(llama):
    read = []
    handle = llama.register_forward_pre_hook(lambda _, _args, named: read.append(tuple(named["input_ids"].shape)), with_kwargs=True)
    try:
        log_likelihoods(llama, [((1, 2, 3), (answer, 5)) for answer in range(4)])
        assert read == [(1, 3), (4, 1)]
        read.clear()
        log_likelihoods(llama, [((1, 2, 3), (7,)), ((1, 2, 4), (7,))])
        assert read == [(2, 3)], "what comes after a prompt needs no pass of its own"
    finally:
        handle.remove()
