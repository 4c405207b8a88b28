"""The training of the embedded models at toy size: schedule, order of the tokens, model directory and card."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from drank.corpora.documents import Document
from drank.corpora.embedded import JOIN
from drank.testbed import tokens, training
from drank.testbed.model_card import card
from drank.testbed.tokens import END_OF_TEXT, token_stream, train_tokenizer
from drank.testbed.training import SHAPES, Schedule, build, mean_loss, train_model

SENTENCES = ["Return the mean of 12 values, or raise ValueError.", "A list of names.\n\n    >>> names(3)", "Ünïcode äs it stands: 你好\t!"]


@pytest.fixture
def toy(monkeypatch):
    """Windows of 16 tokens, 300 entries, a model of two layers."""
    monkeypatch.setattr(training, "CONTEXT", 16)
    for module in (training, tokens):
        monkeypatch.setattr(module, "VOCABULARY", 300)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 16}
    monkeypatch.setattr(training, "COMMON_SHAPE", shape)
    monkeypatch.setattr(training, "SHAPES", {"toy": {"num_key_value_heads": 2, "intermediate_size": 24}})
    return Schedule(steps=2, batch=3, warmup=1)


def test_the_rate_rises_linearly_to_its_peak_and_falls_linearly_to_zero():
    schedule = Schedule(steps=100, warmup=10)
    rates = [schedule.decay(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[4] == pytest.approx(0.5)
    assert rates[9] == rates[10] == max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5) and rates[99] == pytest.approx(1 / 90)
    assert np.allclose(np.diff(rates[10:]), -1 / 90)
    assert min(rates) > 0


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("tail", [0, 1, 9])
def test_each_pass_sees_every_token_once(toy, batch, tail):
    """20 windows of 16 and a next token for the last; what does not fill a window is left out."""
    count = 20 * 16 + 1 + tail
    schedule = Schedule(steps=-(-20 * 3 // batch), batch=batch, long_from=0.0, seed=1)
    batches = list(training._windows(torch.arange(count), schedule))
    assert len(batches) == schedule.steps and all(windows.shape == (batch, 17) for windows in batches)
    windows = torch.cat(batches)
    assert (windows.diff(dim=1) == 1).all(), "a window is a run of the text with its next token"
    for one_pass in windows[:60].split(20):
        assert sorted(one_pass[:, :-1].flatten().tolist()) == list(range(320))
    assert not torch.equal(windows[:20], windows[20:40]), "another order in every pass"
    again = torch.cat(list(training._windows(torch.arange(count), schedule)))
    assert torch.equal(windows, again)


def test_short_windows_come_first_and_lose_no_token(toy):
    schedule = Schedule(steps=10, batch=4, long_from=0.7)
    batches = list(training._windows(torch.arange(161), schedule))
    assert [tuple(windows.shape) for windows in batches] == [(8, 9)] * 7 + [(4, 17)] * 3
    seen = torch.cat([windows[:, :-1].flatten() for windows in batches])
    for one_pass in seen[:320].split(160):
        assert sorted(one_pass.tolist()) == list(range(160))
    assert all((windows.diff(dim=1) == 1).all() for windows in batches)


def test_the_tokenizer_loses_no_character(toy):
    tokenizer = train_tokenizer(SENTENCES * 20)
    assert tokenizer.get_vocab_size() <= 300 and tokenizer.token_to_id(END_OF_TEXT) == 0
    for text in (*SENTENCES, "never seen: ß 🙂 \r\n\x00", "1234"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode("1234").ids) == 4, "digit by digit"


def test_documents_are_parted_by_join_and_end_of_text_in_turn(toy):
    tokenizer = train_tokenizer(SENTENCES * 20)
    ids, join = (tokenizer.encode(text).ids for text in (SENTENCES[0], JOIN))
    stream = token_stream(tokenizer, [SENTENCES[0]] * 3)
    assert stream.dtype == np.int64
    assert stream.tolist() == [*ids, *join, *ids, 0, *ids, *join]


def test_mean_loss_is_that_of_whole_windows(toy):
    """A model that gives every token the same chance loses ln 300 on each."""
    model, _ = train_model(training.SHAPES["toy"], np.arange(200) % 300, np.arange(200) % 300, toy, "cpu")
    for parameter in model.parameters():
        parameter.data.zero_()
    assert mean_loss(model, torch.arange(200) % 300) == pytest.approx(math.log(300), rel=1e-3)
    assert mean_loss(model, torch.arange(33), limit=1) == pytest.approx(math.log(300), rel=1e-3)


def test_training_repeats_itself_and_learns(toy):
    text = np.tile(np.arange(40), 40)
    first, facts = train_model(training.SHAPES["toy"], text, text[:200], toy, "cpu")
    second, _ = train_model(training.SHAPES["toy"], text, text[:200], toy, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert facts["tokens_seen"] == 2 * 3 * 16 and facts["seconds"] > 0
    longer, later = train_model(training.SHAPES["toy"], text, text[:200], Schedule(steps=60, batch=8, warmup=5), "cpu")
    assert later["validation_loss"] < facts["validation_loss"] - 1
    assert not longer.training and longer.config.tie_word_embeddings


def test_a_built_model_is_a_directory_that_transformers_loads(toy, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "Schedule", lambda: toy)
    documents = [Document(split, "name", text) for text in SENTENCES * 12 for split in ("train", "validation", "test")]
    build("toy", documents, {"python": "3.11.7", "numpy": "2.0"}, tmp_path / "toy", "cpu")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path / "toy"), AutoTokenizer.from_pretrained(tmp_path / "toy")
    assert model.dtype == torch.float16 and model.config.num_key_value_heads == 2
    assert not list((tmp_path / "toy").glob("*.bin"))
    text = SENTENCES[2]
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert (tokenizer.eos_token, tokenizer.bos_token, tokenizer.model_max_length) == (END_OF_TEXT, END_OF_TEXT, 16)
    facts = json.loads((tmp_path / "toy" / "training.json").read_text())
    assert facts["parameters"] == model.num_parameters() and facts["schedule"]["steps"] == 2
    assert set(facts) >= {"train_loss", "validation_loss", "1gram_validation_loss", "5gram_validation_loss", "train_tokens", "seconds"}
    assert f"{facts['parameters']:,} parameters" in (tmp_path / "toy" / "README.md").read_text()


FACTS = {
    "name": "docs-gqa",
    "parameters": 4_321_000,
    "train_loss": 1.5,
    "validation_loss": math.log(8),
    "1gram_validation_loss": 6.25,
    "5gram_validation_loss": 3.0,
    "tokens_seen": 11304960.0,
    "train_tokens": 9_000_000,
    "seconds": 4500.0,
    "device": "1 CPU core(s)",
    "schedule": {"seed": 13},
    "corpus_versions": {"torch": "2.13.0", "numpy": "2.4.6"},
}
CONFIG = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 8, "hidden_size": 192, "intermediate_size": 640}
CONFIG |= {"max_position_embeddings": 512, "vocab_size": 3072}


def test_the_card_states_what_training_measured():
    text = card(FACTS, CONFIG)
    assert text.startswith("---\nlicense: apache-2.0\n") and "# docs-gqa\n" in text
    flat = " ".join(text.split())
    for phrase in (
        "4,321,000 parameters (8 layers, hidden size 192, 4 heads, 2 of keys and values, MLP 640, tied embeddings, context 512)",
        "tokenizer of 3072 entries",
        "seed 13 on 9,000,000 tokens",
        "numpy 2.4.6, torch 2.13.0",
        "11,304,960 tokens seen in 75 minutes on 1 CPU core(s)",
        "| validation set | 2.079 | 8.00 |",
        "| 5-gram model (Kneser-Ney), validation set | 3.000 | 20.09 |",
    ):
        assert phrase in flat, phrase


def test_the_shapes_are_one_of_each_kind_of_attention():
    heads = training.COMMON_SHAPE["num_attention_heads"]
    assert SHAPES["docs-mha"]["num_key_value_heads"] == heads
    assert SHAPES["docs-gqa"]["num_key_value_heads"] < heads
    assert training.COMMON_SHAPE["num_hidden_layers"] % 2 == 0
