"""What a step of fine-tuning follows: the gradient of the mean loss, in which float16 loses no token."""

from __future__ import annotations

import copy

import peft
import pytest
import torch

from drank.compression.finetune import _backward, factor_names
from tests.unit.compression.test_finetune import compressed


def adapted(model):
    """The model with adapters as fine-tuning has them at its first step, those on the outputs zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=factor_names(model)))


def gradients_of(model, windows):
    """The gradients that a step leaves, as one vector."""
    _backward(model, windows)
    return torch.cat([one.grad.double().flatten() for one in model.parameters() if one.grad is not None])


def test_gradients_are_those_of_the_mean_loss():
    windows = torch.randint(0, 61, (10, 12), generator=torch.Generator().manual_seed(1))
    model = adapted(compressed()[0])
    found = gradients_of(model, windows)
    weights = [one for one in model.parameters() if one.requires_grad]
    expected = torch.autograd.grad(model(input_ids=windows, labels=windows, use_cache=False).loss, weights)
    torch.testing.assert_close(found, torch.cat([one.double().flatten() for one in expected]), rtol=1e-4, atol=1e-7)


def test_gradients_of_single_tokens_are_no_zeros_in_float16():
    """Two thousand tokens, of which each asks little in the mean: the rows of the output layer are small, as those of a model are."""
    windows = torch.randint(0, 61, (64, 33), generator=torch.Generator().manual_seed(2))
    narrow = compressed(torch.float16)[0]
    narrow.lm_head.weight.data /= 1e4
    wide = copy.deepcopy(narrow).float()
    found, expected = (gradients_of(adapted(model), windows) for model in (narrow, wide))
    assert torch.nn.functional.cosine_similarity(found, expected, dim=0) > 0.999
    assert found.norm().item() == pytest.approx(expected.norm().item(), rel=1e-2)
