"""What forbids measuring a checkpoint beside a dense model, told with what, where and what to do."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from drank.models.sources import describe_source
from drank.models.theirs import Theirs, faults_of, place_of
from drank.runtime.files import write_json

VOCABULARY = {"<unk>": 0, "a": 1, "b": 2, "ab": 3}
BPE = {"model": {"type": "BPE", "vocab": VOCABULARY, "merges": [["a", "b"]]}, "added_tokens": [{"id": 0, "content": "<unk>"}]}


def write(folder, config=None, tokenizer=None):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 4} if config is None else config))
    save_file({"model.embed_tokens.weight": torch.zeros(4, 2)}, folder / "model.safetensors")
    if tokenizer:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return {"path": str(folder)}


@pytest.fixture
def dense(tmp_path):
    return write(tmp_path / "dense", tokenizer=BPE)


def test_the_dense_model_itself_and_other_architectures_of_its_vocabulary_may_stand_beside_it(dense, tmp_path):
    assert faults_of(dense, dense) == []
    assert faults_of(write(tmp_path / "other", {"model_type": "gpt_neox", "vocab_size": 4}), dense) == [], (
        "no tokenizer.json, none to compare"
    )
    nested = {"model_type": "gemma3", "text_config": {"vocab_size": 4}}
    assert faults_of(write(tmp_path / "nested", nested, BPE), dense) == []
    written_otherwise = {**BPE, "model": {**BPE["model"], "merges": ["a b"]}, "truncation": {"max_length": 8}}
    assert faults_of(write(tmp_path / "again", tokenizer=written_otherwise), dense) == []


@pytest.mark.parametrize(
    ("config", "tokenizer", "reason"),
    [
        (
            {"vocab_size": 5},
            None,
            "its vocabulary has 5 entries and the dense model's 4 (vocab_size in config.json); compare it with the model",
        ),
        ({"text_config": {"vocab_size": 6}}, None, "its vocabulary has 6 entries"),
        (
            None,
            {"model": {"vocab": VOCABULARY | {"a": 2, "b": 1}, "merges": [["a", "b"]]}},
            "another number or none ('a' is 1 there and 2 here)",
        ),
        (None, {"model": {"vocab": {"<unk>": 0, "a": 1, "b": 2}}}, "gives 1 of the dense model's 4 tokens another number or none"),
        (None, {**BPE, "added_tokens": [{"id": 4, "content": "<unk>"}]}, "('<unk>' is 0 there and 4 here)"),
        (None, {"model": {"vocab": VOCABULARY, "merges": []}}, "cuts text otherwise than the dense model's"),
        (None, {"model": {"vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -3.0]]}}, "cuts text otherwise"),
        (None, {"version": "1.0"}, "its vocabulary cannot be compared with the dense model's (KeyError('model'))"),
    ],
)
def test_another_vocabulary_is_a_fault(dense, tmp_path, config, tokenizer, reason):
    (fault,) = faults_of(write(tmp_path / "theirs", config, tokenizer), dense)
    assert reason in fault


def test_folders_that_hold_no_model_are_faults(dense, tmp_path):
    assert "there is no such folder" in faults_of({"path": str(tmp_path / "nowhere")}, dense)[0]
    (tmp_path / "empty").mkdir()
    assert "no config.json" in faults_of({"path": str(tmp_path / "empty")}, dense)[0]
    folder = tmp_path / "theirs"
    theirs = write(folder, {"vocab_size": 5})
    (folder / "model.safetensors").rename(folder / "model.bin")
    found = faults_of(theirs, dense)
    assert len(found) == 2 and "no .safetensors file" in found[0] and "vocabulary has 5" in found[1], "all of them at once"
    (folder / "model.safetensors").write_bytes(b"\x08")
    assert "truncated" in faults_of(theirs, dense)[0]


def test_what_is_not_here_yet_is_not_looked_at(dense, tmp_path):
    assert faults_of({"hub": "nobody/nothing"}, dense) == []
    assert faults_of(dense, {"hub": "nobody/nothing"}) == []
    shutil.rmtree(dense["path"])
    assert faults_of(write(tmp_path / "theirs"), dense) == [], "the dense model's own fault is told elsewhere"


def test_a_checkpoint_is_called_by_its_place():
    assert place_of({"path": "/models/theirs"}) == "/models/theirs"
    assert (place_of({"hub": "org/name"}), place_of({"hub": "org/name", "revision": "v2"})) == ("org/name", "org/name@v2")


def test_what_a_run_found_is_read_from_the_source_files(dense, tmp_path):
    theirs = write(tmp_path / "theirs")
    places = {"dense": dense, "theirs": theirs}
    for name, source in places.items():
        write_json(tmp_path / f"{name}.json", describe_source(source, name))
    found = Theirs.of(tmp_path / "theirs.json", tmp_path / "dense.json", places)
    assert found.description["source"] == {"path": "theirs"} and set(found.description["files"]) == {"config.json", "model.safetensors"}
    assert str(found.dense) == dense["path"]
