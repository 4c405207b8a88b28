"""A model whose family drank does not know is measured like any other; what cannot be done with it is refused by name."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import GPTNeoConfig, GPTNeoForCausalLM

import drank
from drank.evaluation.losses import window_losses
from drank.models.checkpoint import load_model
from drank.models.families import FAMILIES
from tests.workflow.runs import WORDS


@pytest.fixture(scope="module")
def neo(tiny_tokenizer, tmp_path_factory) -> Path:
    """A random GPT-Neo of two blocks."""
    assert "gpt_neo" not in FAMILIES, "this needs another family now"
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]], "window_size": 8}
    config = GPTNeoConfig(vocab_size=len(tiny_tokenizer), max_position_embeddings=64, bos_token_id=256, eos_token_id=257, **sizes)
    folder = tmp_path_factory.mktemp("unknown") / "neo"
    GPTNeoForCausalLM(config).eval().save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text() -> str:
    draw = random.Random(1)
    return " ".join(draw.choice(WORDS) for _ in range(200))


def test_all_that_is_measured_of_it(neo, text):
    timed = {"batch": 1, "prompt": 4, "generate": 2, "repeats": 1}
    found = drank.evaluate(neo, text, throughput=timed, length=16, threads=1)
    (record,) = [record for record in found.values() if record.kind == "perplexity"]
    (perplexity,) = [row.value for row in record.results if row.metric == "perplexity"]
    assert 100 < perplexity < 1000, "about as many as there are tokens, of a random model"
    assert {one.kind for one in found.values()} == {"perplexity", "throughput"}


def test_its_losses_are_those_of_its_logits(neo, text):
    model = load_model(neo, "float32")
    windows = list(torch.randint(0, 250, (3, 16), generator=torch.Generator().manual_seed(5)))
    with torch.inference_mode():
        logits = model(torch.stack(windows)).logits.double()
    known = [functional.cross_entropy(one[:-1], window[1:], reduction="sum") for one, window in zip(logits, windows, strict=True)]
    assert window_losses(model, windows, "text", batch=2).loss == pytest.approx([float(loss) for loss in known], rel=1e-5)


def test_it_is_not_compressed(neo, text, tmp_path):
    with pytest.raises(ValueError, match="gpt_neo"):
        drank.compress(neo, "svd", 0.2, text, tmp_path / "out", threads=1)
