"""Windows of token ids: every token in its place, none lost, and files that are whole or refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from drank.corpora import write
from drank.corpora.documents import Document
from drank.corpora.windows import Tokens, TooShortError, read_tokens, tokenize, write_tokens


def tokens_of(count: int) -> Tokens:
    """The ids 0, 1, 2 …, so that a token says where it stood."""
    ids = torch.arange(count, dtype=torch.int32)
    return Tokens(ids, "toy", "test", "a" * 64, hashlib.sha256(ids.numpy().tobytes()).hexdigest())


@given(st.integers(2, 200), st.integers(2, 60), st.none() | st.integers(1, 20))
def test_consecutive_windows_hold_every_token_once_and_in_order(count, length, limit):
    tokens = tokens_of(count)
    if count < length:
        with pytest.raises(TooShortError, match=rf"corpus toy, split test: {count} tokens are fewer than one window of {length}"):
            tokens.consecutive(length, limit)
        return
    windows = tokens.consecutive(length, limit)
    joined = torch.cat(windows).tolist()
    assert joined == list(range(len(joined)))
    assert all(len(window) == length for window in windows[:-1]) and 2 <= len(windows[-1]) <= length
    assert all(window.dtype == torch.int64 for window in windows)
    everything = count - (count % length == 1)  # a tail of one token predicts nothing
    assert len(joined) == (everything if limit is None else min(everything, limit * length))


def test_the_tail_is_the_last_window_and_one_token_alone_is_none():
    assert [len(window) for window in tokens_of(10).consecutive(4)] == [4, 4, 2]
    assert [len(window) for window in tokens_of(9).consecutive(4)] == [4, 4]
    assert [len(window) for window in tokens_of(8).consecutive(4)] == [4, 4]
    assert [len(window) for window in tokens_of(4).consecutive(4)] == [4]
    assert [len(window) for window in tokens_of(10).consecutive(4, 2)] == [4, 4]


@given(st.integers(2, 80), st.integers(2, 60), st.integers(1, 30), st.integers(0, 5))
def test_sampled_windows_are_runs_of_the_text(count, length, windows, seed):
    tokens = tokens_of(count)
    if count < length:
        with pytest.raises(TooShortError, match="ask for shorter windows"):
            tokens.sample(length, windows, seed)
        return
    found = tokens.sample(length, windows, seed)
    assert found.shape == (windows, length) and found.dtype == torch.int64
    assert (found.diff(dim=1) == 1).all()
    assert found.min() >= 0 and found.max() < count
    assert torch.equal(found, tokens.sample(length, windows, seed))


def test_sampling_reaches_both_ends_and_depends_on_the_seed():
    tokens = tokens_of(12)
    starts = tokens.sample(10, 200, 0)[:, 0]
    assert set(starts.tolist()) == {0, 1, 2}
    assert not torch.equal(tokens.sample(3, 20, 0), tokens.sample(3, 20, 1))
    assert torch.equal(tokens.sample(3, 5, 13), tokens.sample(3, 20, 13)[:5]), "more windows keep those there were"
    assert torch.equal(tokens_of(7).sample(7, 2, 0), torch.arange(7).repeat(2, 1))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """One id per word, with a beginning-of-sequence token before each text."""
    words = {word: index for index, word in enumerate(["<s>", "<unk>", "one", "two", "three", "|"])}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", unk_token="<unk>", model_max_length=4)


@pytest.fixture
def corpus(tmp_path):
    documents = [
        Document("test", "a", "one two"),
        Document("train", "b", "two two"),
        Document("test", "c", "three"),
        Document("test", "d", "one"),
    ]
    write(tmp_path / "toy.parquet", {"files": {"test": "t", "train": "t"}, "join": " | "}, documents)
    return tmp_path / "toy.parquet"


def test_a_split_is_joined_and_tokenised_in_one_piece(corpus, tokenizer):
    """One BOS at the very start, the join string between documents, nothing cut at the tokenizer's length."""
    tokens = tokenize(tokenizer, corpus, "toy", "test")
    assert tokens.ids.tolist() == [0, 2, 3, 5, 4, 5, 2] and tokens.ids.dtype == torch.int32
    assert (tokens.corpus, tokens.split) == ("toy", "test")
    assert tokens.text_sha256 == hashlib.sha256(b"one two | three | one").hexdigest()
    assert tokenize(tokenizer, corpus, "toy", "train").ids.tolist() == [0, 3, 3]


def test_the_first_documents_until_they_hold_so_many_characters(corpus, tokenizer):
    assert tokenize(tokenizer, corpus, "toy", "test", 7).ids.tolist() == [0, 2, 3]
    assert tokenize(tokenizer, corpus, "toy", "test", 8).ids.tolist() == [0, 2, 3, 5, 4]
    assert tokenize(tokenizer, corpus, "toy", "test", 10**9).ids.tolist() == [0, 2, 3, 5, 4, 5, 2]


def test_tokens_come_back_from_their_file(corpus, tokenizer, tmp_path):
    tokens = tokenize(tokenizer, corpus, "toy", "test")
    write_tokens(tmp_path / "t.safetensors", tokens)
    again = read_tokens(tmp_path / "t.safetensors")
    assert torch.equal(again.ids, tokens.ids) and again.ids.dtype == torch.int32
    assert (again.corpus, again.split, again.text_sha256, again.ids_sha256) == ("toy", "test", tokens.text_sha256, tokens.ids_sha256)
    assert again.ids_sha256 == hashlib.sha256(tokens.ids.numpy().tobytes()).hexdigest()


def test_a_damaged_file_is_noticed(tmp_path):
    path, tokens = tmp_path / "t.safetensors", tokens_of(100)
    write_tokens(path, tokens)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"t\.safetensors is damaged.*delete it and run again"):
        read_tokens(path)
    facts = {"corpus": "toy", "split": "test", "text_sha256": "a" * 64, "ids_sha256": tokens.ids_sha256}
    save_file({"ids": tokens.ids[:-1].clone()}, path, metadata={"tokens": json.dumps(facts)})
    with pytest.raises(ValueError, match="damaged"):
        read_tokens(path)


def test_the_same_tokens_are_the_same_bytes(tmp_path):
    """A file whose bytes differ from run to run makes all that hashes it differ."""
    tokens = tokens_of(9)
    written = set()
    for number in range(8):
        write_tokens(tmp_path / f"{number}.safetensors", tokens)
        written.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(written) == 1
    assert torch.equal(read_tokens(tmp_path / "0.safetensors").ids, tokens.ids)


@given(
    st.integers(10, 60), st.integers(2, 8), st.sampled_from(["text", "window", "none"]), st.none() | st.integers(1, 20), st.integers(0, 2)
)
def test_places_and_what_is_measured_are_those_of_the_windows(count, length, bos, limit, opening):
    tokens = replace(tokens_of(count), opening=opening, bos=99)
    inside = slice(bos == "window", None)
    places, drawn = tokens.places(length, 5, 3, bos), tokens.sample(length, 5, 3, bos)
    assert torch.equal(tokens.at(places, length, bos), drawn)
    skipped = opening if bos != "text" else 0
    assert drawn[:, inside].tolist() == [[*range(skipped + place, skipped + place + drawn[0, inside].numel())] for place in places.tolist()]
    total, inner = tokens.room(length, bos)
    assert (total, inner) == (count - skipped, length - (bos == "window")) and 0 <= int(places.min()) <= int(places.max()) <= total - inner
    read = torch.cat([window[inside] for window in tokens.consecutive(length, limit, bos)]).tolist()[opening if bos == "text" else 0 :]
    measured = tokens.measured(length, limit, bos).tolist()
    assert measured[: len(read)] == read, "but for what only opens the text"
    assert len(measured) - len(read) in (0, 1), "a tail of one token predicts nothing"
