"""Text as token ids: special tokens in front only, whatever a tokenizer would put behind, and none past the embedding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from drank.corpora import write
from drank.corpora.documents import Document
from drank.corpora.encoding import TokenizerError, bare, encode, opening_of, past_embedding
from drank.corpora.windows import tokenize

SPECIAL = ["<bos>", "<eos>", "<sep>"]


def bytes_with(template: str | None) -> PreTrainedTokenizerFast:
    """A token per byte, after three special ones, which a post-processor with this template puts around a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if template is not None:
        raw.post_processor = processors.TemplateProcessing(
            single=template, pair=f"{template} $B:1", special_tokens=list(zip(SPECIAL, range(3), strict=True))
        )
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<bos>", eos_token="<eos>", sep_token="<sep>")


TEMPLATES = {
    None: [],
    "$A": [],
    "$A <eos>": [],
    "$A <eos> <sep>": [],
    "<bos> $A": [0],
    "<bos> $A <eos>": [0],
    "<bos> <sep> $A <eos> <eos>": [0, 2],
}


@pytest.mark.parametrize(("template", "opening"), TEMPLATES.items())
def test_special_tokens_stand_in_front_only(template, opening):
    tokenizer, plain = bytes_with(template), bytes_with(None)

    @given(st.text(max_size=20))
    def whole(text):
        assert encode(tokenizer, text) == [*opening, *plain(text)["input_ids"]]
        assert bare(tokenizer, text) == plain(text)["input_ids"]

    assert opening_of(tokenizer) == opening
    whole()


@pytest.mark.parametrize("template", ["$A <eos>", "<bos> $A <eos>"])
def test_the_tokens_of_a_corpus_end_with_its_text(tmp_path, template):
    write(tmp_path / "c.parquet", {"files": {}}, [Document("test", "a", "one"), Document("test", "b", "two")])
    ids = tokenize(bytes_with(template), tmp_path / "c.parquet", "c", "test").ids.tolist()
    assert ids == [*TEMPLATES[template], *bytes_with(None)("one\n\ntwo")["input_ids"]]


def test_truncation_and_padding_of_a_tokenizer_file_do_not_cut_a_text():
    tokenizer = bytes_with("$A <eos>")
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=8, pad_id=1, pad_token="<eos>")
    assert encode(tokenizer, "a text of some length") == bytes_with(None)("a text of some length")["input_ids"]


def test_a_tokenizer_that_gives_nothing_is_named():
    raw = Tokenizer(models.WordLevel({"only": 0}, unk_token="only"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    assert opening_of(PreTrainedTokenizerFast(tokenizer_object=raw)) == []
    silent = Tokenizer(models.BPE(vocab={"ж": 0}, merges=[]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=silent, name_or_path="some/model")
    with pytest.raises(TokenizerError, match=r"the tokenizer of some/model makes \[\] of 'a text'.*give the model a tokenizer"):
        opening_of(tokenizer)


def test_tokens_past_the_embedding_are_named_with_both_sizes(tmp_path):
    tokenizer = bytes_with(None)
    tokenizer.add_tokens(["<new>"])
    last = len(tokenizer) - 1
    write(tmp_path / "c.parquet", {"files": {}}, [Document("test", "a", "words"), Document("train", "a", "words <new> <new>")])
    assert len(tokenize(tokenizer, tmp_path / "c.parquet", "c", "test", rows=last).ids) == 5
    told = (
        rf"corpus c, split train: token '<new>' has the number {last}, and the model's embedding has {last} rows.*knows {last + 1} tokens"
    )
    with pytest.raises(TokenizerError, match=told):
        tokenize(tokenizer, tmp_path / "c.parquet", "c", "train", rows=last)
    assert past_embedding(tokenizer, [last], last + 1) is None
