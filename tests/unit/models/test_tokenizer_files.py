"""The files of a tokenizer: what is missing, damaged or unreadable is named, and pieces are read as SentencePiece reads them."""

from __future__ import annotations

import json
import shutil

import pytest

from drank.models import tokenizer_files
from drank.models.checkpoint import load_tokenizer
from drank.models.description import CheckpointError
from drank.models.sources import problems_of
from drank.testbed import MODELS

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 191988\n"
FILES = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def directory(tmp_path):
    shutil.copytree(MODELS / "docs-mha", tmp_path / "model")
    return tmp_path / "model"


def told(directory):
    """What the check says, which must be what loading says too."""
    problems = problems_of({"path": str(directory)})
    if problems:
        with pytest.raises(CheckpointError) as caught:
            load_tokenizer(directory)
        assert str(caught.value) == "\n".join(problems)
    else:
        assert load_tokenizer(directory)("a text")["input_ids"]
    return "\n".join(problems)


def test_a_whole_tokenizer_has_no_problem(directory):
    assert told(directory) == ""
    (directory / "tokenizer_config.json").unlink()
    assert told(directory) == ""


def test_no_tokenizer_is_told_with_the_remedy(directory):
    for name in FILES:
        (directory / name).unlink()
    assert f"{directory} holds no tokenizer; put the tokenizer.json and tokenizer_config.json of its model there" in told(directory)
    (directory / "vocab.json").write_text("{}")
    assert "holds no tokenizer" in told(directory), "merges are part of it"


@pytest.mark.parametrize("name", FILES)
def test_a_pointer_is_told_by_name(directory, name):
    (directory / name).write_text(POINTER)
    assert told(directory).startswith(f"{directory / name} is a Git LFS pointer in place of the file: run `git lfs pull`")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_file_is_told_by_name(directory, name, keep):
    (directory / name).write_bytes((directory / name).read_bytes()[:keep])
    assert f"{directory / name} cannot be read" in told(directory)
    assert "it is damaged or cut off; fetch it again" in told(directory)


def test_json_of_something_else_is_told_by_name(directory):
    (directory / "tokenizer.json").write_text("{}")
    (directory / "tokenizer_config.json").write_text("[]")
    assert f"{directory / 'tokenizer.json'} is JSON and no tokenizer" in told(directory)
    assert f"{directory / 'tokenizer_config.json'} is JSON and no mapping" in told(directory)


def test_what_only_transformers_can_tell_names_the_folder(directory):
    (directory / "tokenizer.json").write_text('{"model": {"type": "BPE"}}')
    with pytest.raises(CheckpointError, match=rf"{directory} has no tokenizer that can be read .*Transformers says"):
        load_tokenizer(directory)


@pytest.fixture
def pieces(directory):
    """The folder with a tokenizer.model in place of tokenizer.json, as `change` of SentencePiece's training has it, and what reads it."""
    import sentencepiece

    def made(tokenizer_class="LlamaTokenizer", **change):
        (directory / "tokenizer.json").unlink(missing_ok=True)
        options = {
            "model_type": "bpe",
            "byte_fallback": True,
            "vocab_size": 360,
            "minloglevel": 2,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "character_coverage": 0.99,
        }
        sentences = iter(["Some words of a text, and some more words of another text.", "What is read 1234 times is a text, no word."])
        with (directory / "tokenizer.model").open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=sentences, model_writer=file, hard_vocab_limit=False, **options | change
            )
        settings = {"tokenizer_class": tokenizer_class, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        (directory / "tokenizer_config.json").write_text(json.dumps(settings))
        return sentencepiece.SentencePieceProcessor(model_file=str(directory / "tokenizer.model"))

    return made


def test_pieces_are_read_as_sentencepiece_reads_them(directory, pieces):
    reference = pieces()
    assert told(directory) == ""
    tokenizer = load_tokenizer(directory)
    for text in ("Some words", "two  blanks\n\nand a line", "ünknown 漢字", ""):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text)


def test_pieces_that_would_be_read_otherwise_are_refused(directory, pieces):
    for tokenizer_class, change in {"PreTrainedTokenizerFast": {}, "LlamaTokenizer": {"model_type": "unigram", "vocab_size": 290}}.items():
        pieces(tokenizer_class, **change)
        with pytest.raises(CheckpointError, match=r"tokenizer\.model is not what transformers makes of it.*correct `tokenizer_class`"):
            load_tokenizer(directory)


def test_pieces_that_cannot_be_read_say_so(directory, pieces, monkeypatch):
    pieces()
    (directory / "tokenizer_config.json").unlink()
    assert "tokenizer.model has no tokenizer_config.json beside it that names its `tokenizer_class`, such as" in told(directory)
    (directory / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    assert "tokenizer.model is no SentencePiece model (one for tiktoken, maybe), and there is no tokenizer.json" in told(directory)
    (directory / "tokenizer.model").write_text(POINTER)
    assert "tokenizer.model is a Git LFS pointer" in told(directory)
    pieces()
    monkeypatch.setattr(tokenizer_files, "NEEDED", ("sentencepiece", "no_such_package.part"))
    assert "tokenizer.model is read by no_such_package.part, which is not installed; `pip install" in told(directory)
