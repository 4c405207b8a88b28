"""Every family, and models of others: answers score as those of prompt and answer read together, however they are read."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from drank.evaluation.zeroshot import likelihoods
from drank.evaluation.zeroshot.likelihoods import log_likelihoods, shares
from tests.contract.conftest import build_model
from tests.contract.forward import logits_of

ids = st.lists(st.integers(0, 249), min_size=1, max_size=20).map(tuple)


def together(model, prompt, answer):
    """The score of one answer, softmax in float64, out of one pass without cache."""
    logits = logits_of(model, torch.tensor([[*prompt, *answer]]))[0, len(prompt) - 1 : -1].double()
    own = logits.log_softmax(-1)[torch.arange(len(answer)), list(answer)]
    return own.sum().item(), logits.argmax(-1).tolist() == list(answer)


def check(model, pairs, batch, within=1e-4):
    found = log_likelihoods(model, pairs, batch)
    assert len(found) == len(pairs)
    for (score, greedy), pair in zip(found, pairs, strict=True):
        wanted, likeliest = together(model, *pair)
        assert score == pytest.approx(wanted, rel=1e-4, abs=within)
        assert greedy == likeliest


def test_a_prompt_read_once(tiny_model, family):
    told = {"output_router_logits": True, "use_cache": False} if "num_experts_per_tok" in tiny_model(family).config else {}
    model = tiny_model(family, **told)
    generator = torch.Generator().manual_seed(3)
    prompts = [tuple(torch.randint(0, 250, (length,), generator=generator).tolist()) for length in (20, 20, 9, 20, 1)]  # past the windows
    likeliest = int(logits_of(model, torch.tensor([prompts[0]]))[0, -1].argmax())
    answers = [(likeliest,), *(tuple(torch.randint(0, 250, (length,), generator=generator).tolist()) for length in (1, 4, 15))]
    pairs = [(prompt, answer) for answer in answers for prompt in prompts]
    assert shares(model)
    for batch in (1, 5, 64):
        check(model, pairs, batch)
    assert any(greedy for _, greedy in log_likelihoods(model, pairs))


def test_logarithms_are_those_of_float32_in_16_bits_too(llama):
    """In bfloat16 they would be off by hundredths; one token, so that both ways have the same logits."""
    model = copy.deepcopy(llama).bfloat16()
    pairs = [(tuple(range(start, start + 9)), (answer,)) for start in range(4) for answer in (3, 50, 200)]
    check(model, pairs, 3, within=5e-3)
    check(model, pairs[::3], 1, within=5e-3)


OTHERS = {
    "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 250},
    "lfm2": {"layer_types": ["conv", "full_attention"], "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 250}
    | {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 40},
}
"""Models of others that remember by states of their own, alone or beside keys and values."""
PAIRS = [((5, 6, 7), (8, 9, 10)), ((5, 6, 7), (11,)), ((5, 6, 7), (12, 13)), ((1,), (2, 3))]


@pytest.mark.parametrize("other", OTHERS)
def test_a_model_with_another_memory_than_keys_and_values(other):
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(other, **OTHERS[other])).eval()
    assert not shares(model)
    check(model, PAIRS, 3)
    check(model, PAIRS[1:2], 3)


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_positions_that_hang_on_how_much_is_read(kind):
    """A prompt of 14 tokens within the 16 of the original model, and an answer that goes beyond them."""
    scaling = {"rope_type": kind, "factor": 4.0, "original_max_position_embeddings": 16}
    factors = {"short_factor": [1.0, 1.0], "long_factor": [4.0, 8.0]} if kind == "longrope" else {}
    model = build_model("llama", rope_parameters={"rope_theta": 10000.0, **scaling, **factors}, max_position_embeddings=64)
    prompt = tuple(range(20, 34))
    pairs = [(prompt, tuple(range(start, start + 6))) for start in (40, 60)] + [(prompt[:5], (7, 8)), (prompt[:5], (9,))]
    assert not shares(model)
    check(model, pairs, 4)


def test_a_model_that_cannot_be_asked_for_its_last_logits_alone(llama, monkeypatch):
    plain = type(llama).forward
    monkeypatch.setattr(type(llama), "forward", lambda self, input_ids, **named: plain(self, input_ids=input_ids, **named))
    monkeypatch.setattr(likelihoods, "shares", lambda _model: False)
    check(llama, PAIRS, 3)
    monkeypatch.setattr(likelihoods, "shares", lambda _model: True)
    check(llama, PAIRS, 3)


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


def test_what_is_read(llama):
    read = []
    handle = llama.register_forward_pre_hook(lambda _, _args, named: read.append(tuple(named["input_ids"].shape)), with_kwargs=True)
    try:
        log_likelihoods(llama, [((1, 2, 3), (answer, 5)) for answer in range(4)])
        assert read == [(1, 3), (4, 1)], "a prompt once for its answers"
        read.clear()
        log_likelihoods(llama, [((1, 2, last), (answer,)) for last in (3, 4) for answer in (7, 8)])
        assert read == [(2, 3)], "what comes after a prompt needs no pass of its own"
        read.clear()
        log_likelihoods(llama, [((1, 2, 3), (7, 8)), ((1, 2, 3, 4), (7,)), ((5,), (7,))])
        assert read == [(3, 4)], "prompts with one answer each, and with it, of any lengths at once"
    finally:
        handle.remove()
