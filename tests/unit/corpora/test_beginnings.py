"""How windows begin: with BOS before each, with what a tokenizer puts before the text, or with the text alone."""

import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from drank.corpora import write
from drank.corpora.beginnings import CONVENTIONS, convention_in
from drank.corpora.documents import Document
from drank.corpora.encoding import TokenizerError, beginning_of, prompt_opening
from drank.corpora.windows import Tokens, TooShortError, read_tokens, tokenize, write_tokens

BOS = 999


def tokens_of(count, opening=1, bos=BOS):
    """A BOS that a tokenizer has put before the text, and the ids 0, 1, 2 … of that."""
    ids = torch.cat([torch.full((opening,), BOS), torch.arange(count)]).int()
    return Tokens(ids, "toy", "test", "a" * 64, hashlib.sha256(ids.numpy().tobytes()).hexdigest(), opening, bos)


SIZES = st.integers(2, 200), st.integers(2, 60), st.integers(0, 1)


@given(*SIZES, st.none() | st.integers(1, 20))
def test_every_window_begins_with_bos_and_together_they_tile_the_text(count, length, opening, limit):
    tokens = tokens_of(count, opening)
    if count < length - 1:
        with pytest.raises(TooShortError, match=f"{count + 1} tokens are fewer than one window of {length}"):
            tokens.consecutive(length, limit, "window")
        return
    windows = tokens.consecutive(length, limit, "window")
    assert all(window[0] == BOS and (window[1:] != BOS).all() and window.dtype == torch.int64 for window in windows)
    assert all(len(window) == length for window in windows[:-1]) and 2 <= len(windows[-1]) <= length
    told = torch.cat([window[1:] for window in windows]).tolist()
    assert told == list(range(count if limit is None else min(count, limit * (length - 1))))


@given(*SIZES, st.integers(1, 9), st.integers(0, 5))
def test_drawn_windows_are_bos_and_a_run_of_the_text(count, length, opening, windows, seed):
    tokens = tokens_of(count, opening)
    if count < length - 1:
        with pytest.raises(TooShortError):
            tokens.sample(length, windows, seed, "window")
        return
    found = tokens.sample(length, windows, seed, "window")
    assert found.shape == (windows, length) and found.dtype == torch.int64
    assert (found[:, 0] == BOS).all()
    assert (found[:, 1:] != BOS).all() and (found[:, 1:].diff(dim=1) == 1).all()
    options = {"length": length, "windows": windows, "seed": seed, "bos": "window"}
    assert torch.equal(found, tokens.drawn(options))


@given(*SIZES, st.integers(0, 5))
def test_text_is_as_it_was_to_the_bit(count, length, opening, seed):
    """Cut and drawn from the ids as the tokenizer gave them, by the same draws."""
    tokens = tokens_of(count, opening)
    if len(tokens.ids) < length:
        return
    whole = [part for part in tokens.ids.long().split(length) if len(part) > 1]
    assert all(torch.equal(one, two) for one, two in zip(tokens.consecutive(length), whole, strict=True))
    starts = torch.randint(len(tokens.ids) - length + 1, (7, 1), generator=torch.Generator().manual_seed(seed))
    drawn = tokens.ids[starts + torch.arange(length)].long()
    assert torch.equal(tokens.sample(length, 7, seed), drawn)
    assert torch.equal(tokens.drawn({"length": length, "windows": 7, "seed": seed}), drawn)


@given(*SIZES, st.integers(0, 5))
def test_none_has_no_bos_anywhere(count, length, opening, seed):
    tokens = tokens_of(count, opening)
    if count < length:
        with pytest.raises(TooShortError):
            tokens.consecutive(length, None, "none")
        return
    told = torch.cat(tokens.consecutive(length, None, "none"))
    assert told.tolist() == list(range(len(told))) and len(told) >= count - 1
    assert (tokens.sample(length, 5, seed, "none") != BOS).all()


def test_windows_without_a_token_to_begin_with_are_refused():
    tokens = tokens_of(50, opening=0, bos=None)
    for read in (lambda: tokens.consecutive(8, None, "window"), lambda: tokens.sample(8, 2, 0, "window")):
        with pytest.raises(TokenizerError, match=r"corpus toy, split test.*no one such token; say `bos: text`"):
            read()


def test_facts_tell_the_convention_and_the_token():
    tokens = tokens_of(9)
    assert tokens.facts({"bos": "window"})["bos_token"] == BOS
    assert "bos_token" not in tokens.facts({"bos": "text"}) | tokens.facts({"bos": "none"})


def test_what_is_unresolved_or_unknown_is_no_convention():
    assert [convention_in({"bos": name}) for name in CONVENTIONS] == list(CONVENTIONS) and convention_in({}) == "text"
    with pytest.raises(ValueError, match=r"'ever'.* one of text, window, none"):
        convention_in({"bos": "ever"})
    with pytest.raises(ValueError, match=r"the model was not on this machine .* run again"):
        convention_in({"bos": "auto"})


def tokenizer_of(before="", bos="<s>"):
    """One id a word; `before` is what it puts before a text."""
    words = {word: index for index, word in enumerate(["<s>", "<unk>", "<t>", "one", "two"])}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if before:
        core.post_processor = processors.TemplateProcessing(single=f"{before} $A", special_tokens=[("<s>", 0), ("<t>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, unk_token="<unk>")


@pytest.mark.parametrize(
    "before, bos, begins, prompts",
    [
        ("", "<s>", 0, {"text": [], "window": [0], "none": []}),
        ("<s>", "<s>", 0, {"text": [0], "window": [0], "none": []}),
        ("<t>", "<s>", 2, {"text": [2], "window": [2], "none": []}),
        ("<s> <t>", "<s>", None, {"text": [0, 2], "window": [0, 2], "none": []}),
        ("", None, None, {"text": [], "none": []}),
    ],
)
def test_bos_is_what_a_tokenizer_puts_before_a_text_or_else_names(before, bos, begins, prompts):
    tokenizer = tokenizer_of(before, bos)
    assert beginning_of(tokenizer) == begins
    assert {name: prompt_opening(tokenizer, name) for name in prompts} == prompts
    if "window" not in prompts:
        with pytest.raises(TokenizerError, match="no token that begins a text"):
            prompt_opening(tokenizer, "window")


def test_a_file_of_tokens_keeps_what_begins_them(tmp_path):
    write(tmp_path / "toy.parquet", {"files": {"test": "t"}, "join": " "}, [Document("test", "a", "one two one two")])
    cases = {"a": (tokenizer_of("<s>"), (1, 0)), "b": (tokenizer_of(), (0, 0)), "c": (tokenizer_of("", None), (0, None))}
    for name, (tokenizer, expected) in cases.items():
        write_tokens(tmp_path / name, tokenize(tokenizer, tmp_path / "toy.parquet", "toy", "test"))
        found = read_tokens(tmp_path / name)
        assert (found.opening, found.bos) == expected
        assert found.ids[found.opening :].tolist() == [3, 4, 3, 4]


def test_a_file_of_an_older_drank_is_refused(tmp_path):
    told = {"corpus": "toy", "split": "test", "text_sha256": "0", "ids_sha256": "0"}
    save_file({"ids": torch.zeros(4, dtype=torch.int32)}, tmp_path / "old", metadata={"tokens": json.dumps(told)})
    with pytest.raises(ValueError, match=r"older drank.* delete it and run again"):
        read_tokens(tmp_path / "old")


def test_a_bos_that_the_embedding_has_no_row_for_begins_nothing(tmp_path):
    write(tmp_path / "toy.parquet", {"files": {"test": "t"}, "join": " "}, [Document("test", "a", "one two")])
    tokenizer = tokenizer_of()
    tokenizer.add_special_tokens({"bos_token": "<new>"})
    assert tokenize(tokenizer, tmp_path / "toy.parquet", "toy", "test", rows=5).bos is None
    assert tokenize(tokenizer, tmp_path / "toy.parquet", "toy", "test", rows=6).bos == 5
