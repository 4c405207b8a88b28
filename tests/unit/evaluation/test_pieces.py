"""What was measured is found under all that decides it, and nothing else is taken for it."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from drank.evaluation.pieces import MEASURED_BY, Piece, Pieces, name_of
from drank.runtime.codehash import PROJECT, code_of
from drank.runtime.files import read_json, write_json
from drank.runtime.shares import WHOLE, Share

NOW = {"perplexity": {"code": "a", "model": "m", "packages": {"torch": "2"}}}
KEY = {"kind": "perplexity", **NOW["perplexity"], "read": {"tokens_sha256": "t", "windows": None}, "computing": {"device": "cpu"}}


def piece_of(key=KEY, share=WHOLE):
    return Piece(key, share, {"loss": [1 / 3, 2.0], "tokens": [7, 8]}, {"itemsize": 4, "origin": {"seconds": 0.1}})


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_piece_comes_back_to_the_last_bit(tmp_path):
    kept = Pieces(tmp_path / "kept")
    assert kept.find(KEY) is None
    kept.keep(piece_of())
    assert kept.find(KEY) == piece_of() and kept.find(KEY).found["loss"][0] == 1 / 3
    assert kept.find(KEY, Share(2, 4)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "b"},
        {"model": "n"},
        {"packages": {"torch": "3"}},
        {"read": {"tokens_sha256": "t", "windows": 8}},
        {"computing": {"device": "cuda"}},
    ],
)
def test_nothing_is_found_under_another_key(tmp_path, changes):
    kept = Pieces(tmp_path)
    kept.keep(piece_of())
    assert kept.find(KEY | changes) is None


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: text.replace("2.0", "2.5"), lambda text: "[]", lambda text: ""])
def test_a_damaged_piece_is_told_and_not_used(tmp_path, damage, caplog):
    kept = Pieces(tmp_path)
    kept.keep(piece_of())
    path = tmp_path / name_of(KEY, WHOLE)
    path.write_text(damage(path.read_text()))
    assert kept.find(KEY) is None
    assert str(path) in caplog.text and "it is measured again" in caplog.text
    kept.tidy(NOW)
    assert files(tmp_path) == []


def test_a_foreign_piece_is_told_and_not_used(tmp_path, caplog):
    """Whole in itself, under the name of another: its key tells."""
    kept, other = Pieces(tmp_path), KEY | {"model": "n"}
    kept.keep(piece_of(other))
    (tmp_path / name_of(other, WHOLE)).rename(tmp_path / name_of(KEY, WHOLE))
    assert kept.find(KEY) is None and "a piece of another measurement" in caplog.text


def test_a_share_is_not_taken_for_another_or_for_the_whole(tmp_path):
    kept = Pieces(tmp_path)
    kept.keep(piece_of(share=Share(2, 4)))
    assert kept.find(KEY, Share(2, 4)) == piece_of(share=Share(2, 4))
    assert [kept.find(KEY, share) for share in (WHOLE, Share(1, 4), Share(2, 3), Share(2, 2))] == [None] * 4


def test_what_will_not_be_asked_for_again_goes_and_other_settings_stay(tmp_path):
    kept = Pieces(tmp_path)
    settings = [KEY, KEY | {"read": {"tokens_sha256": "t", "windows": 8}}, KEY | {"computing": {"device": "cuda"}}]
    gone = [KEY | {"code": "b"}, KEY | {"model": "n"}, KEY | {"packages": {"torch": "1"}}, KEY | {"kind": "smell"}]
    for key in (*settings, *gone):
        kept.keep(piece_of(key))
    kept.keep(piece_of(share=Share(1, 2)))
    unfinished = KEY | {"read": "a text that has been measured in part"}
    kept.keep(piece_of(unfinished, Share(1, 2)))
    write_json(tmp_path / "notes.json", {"what": "no piece"})
    kept.tidy(NOW)
    assert files(tmp_path) == sorted([*(name_of(key, WHOLE) for key in settings), name_of(unfinished, Share(1, 2))])


def test_a_piece_says_its_key_in_full(tmp_path):
    Pieces(tmp_path).keep(piece_of())
    assert read_json(tmp_path / name_of(KEY, WHOLE))["key"] == json.loads(json.dumps(KEY))


def test_without_a_folder_nothing_is_kept():
    kept = Pieces(None)
    kept.keep(piece_of())
    kept.tidy(NOW)
    assert kept.find(KEY) is None


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        ("evaluation/losses.py", {"perplexity"}),
        ("models/residency.py", {"perplexity"}),  # the dense model's head
        ("models/forward.py", {"perplexity", "zeroshot"}),
        ("evaluation/reliability.py", {"perplexity"}),
        ("evaluation/positions.py", {"perplexity"}),
        ("evaluation/continuations.py", {"continuations"}),
        ("evaluation/repetition.py", set()),
        ("evaluation/zeroshot/likelihoods.py", {"zeroshot"}),
        ("evaluation/zeroshot/harness.py", {"zeroshot"}),
        ("evaluation/zeroshot/marks.py", {"zeroshot"}),
        ("models/checkpoint.py", {"perplexity", "continuations", "zeroshot"}),
        ("statistics/intervals.py", set()),
        ("evaluation/zeroshot/scoring.py", set()),
        ("evaluation/measurement.py", set()),
        ("reporting/records/subject.py", set()),
        ("steps/evaluate.py", set()),
    ],
)
def test_an_edit_measures_again_what_its_code_measures(tmp_path, module, kinds):
    shutil.copytree(PROJECT / "drank", tmp_path / "drank", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    before = {kind: code_of(*modules, project=tmp_path) for kind, modules in MEASURED_BY.items()}
    path = tmp_path / "drank" / module
    path.write_text(re.sub(r"^( +)return ", r"\1assert True\n\1return ", path.read_text(), flags=re.M))
    after = {kind: code_of(*modules, project=tmp_path) for kind, modules in MEASURED_BY.items()}
    assert {kind for kind in before if before[kind] != after[kind]} == kinds
