"""Operations are those that weights take part in, in every storage."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

from drank.evaluation.operations import operations_of
from drank.models.lowrank import LowRankLinear, PivotedLinear


def _filled(module: LowRankLinear) -> LowRankLinear:
    """A low-rank module with numbers in place of nothing."""
    found = module.to_empty(device="cpu")
    if isinstance(found, PivotedLinear) and found.owns_basis:
        found.place(torch.arange(found.rank))
    return found


def _operations(module: nn.Module, x: torch.Tensor) -> int:
    with torch.inference_mode():
        return operations_of(lambda: module(x))[0]


@given(rows=st.integers(2, 12), columns=st.integers(1, 12), share=st.floats(0, 1), tokens=st.integers(1, 3))
def test_a_matrix_counts_in_the_form_it_is_stored_in(rows: int, columns: int, share: float, tokens: int) -> None:
    dense, x = nn.Linear(rows, columns), torch.ones(1, tokens, rows)
    rank = 1 + int(share * (rows - 2))
    assert _operations(dense, x) == 2 * tokens * rows * columns
    assert _operations(_filled(LowRankLinear(dense, rank)), x) == 2 * tokens * rank * (rows + columns)
    assert _operations(_filled(PivotedLinear(dense, rank)), x) == 2 * tokens * rank * (rows - rank + columns)


def test_a_shared_basis_counts_in_every_layer_that_uses_it() -> None:
    owner = _filled(LowRankLinear(nn.Linear(8, 6), 3))
    other = _filled(LowRankLinear(nn.Linear(8, 6), 3, owner))
    assert _operations(other, torch.ones(1, 8)) == _operations(owner, torch.ones(1, 8)) == 2 * 3 * (8 + 6)


def test_one_position_of_each_of_several_prompts_counts_and_attention_does_not() -> None:
    head, states = nn.Linear(8, 64), torch.ones(3, 5, 8)
    assert operations_of(lambda: head(states[:, -1:]))[0] == 2 * 3 * 8 * 64
    assert operations_of(lambda: nn.functional.scaled_dot_product_attention(states, states, states))[0] == 0
    assert operations_of(lambda: states @ states.mT)[0] == 0


def test_an_embedding_counts_nothing_and_a_tied_head_all_of_it() -> None:
    config = {"vocab_size": 64, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 8, "bos_token_id": 0, "eos_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(**config)).eval()
    assert _operations(model, torch.zeros(1, 1, dtype=torch.long)) == 2 * (12 * 16 * 16 + 64 * 16)


def test_of_a_mixture_the_experts_count_that_a_token_asks() -> None:
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = MixtralForCausalLM(MixtralConfig(**sizes, num_hidden_layers=1, num_local_experts=4, num_experts_per_tok=2)).eval()
    attention, router, expert, head = 2 * 32 * 32 + 2 * 32 * 16, 32 * 4, 3 * 32 * 48, 64 * 32
    assert _operations(model, torch.zeros(1, 1, dtype=torch.long)) == 2 * (attention + router + 2 * expert + head)


def test_what_the_work_returns_comes_back() -> None:
    assert operations_of(lambda: "said") == (0, "said")
