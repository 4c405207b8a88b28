"""What makes a model another, and that it is found where it lies."""

import os
import shutil
from dataclasses import replace

import pytest

from drank.models.families import FAMILIES
from drank.models.sources import SourceError, describe_source, identity_of, model_directory
from drank.runtime.files import write_json
from tests.workflow.runs import write_model


@pytest.fixture
def place(tmp_path):
    """A model in a folder."""
    write_model(tmp_path / "here")
    return {"path": str(tmp_path / "here")}


def test_a_model_is_found_where_it_lies_now_and_only_as_it_was(place, tmp_path):
    """What was computed from a model goes on from the same weights elsewhere, and never from others: an older file is another as well."""
    write_json(tmp_path / "tiny.json", describe_source(place, "tiny"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    for place in ("here", "there"):
        assert model_directory(tmp_path / "tiny.json", {"tiny": {"path": str(tmp_path / place)}}) == tmp_path / place
    weights = tmp_path / "there/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    os.utime(weights, (1e9, 1e9))
    with pytest.raises(SourceError, match=r"there: model\.safetensors changed since this run has read the model"):
        model_directory(tmp_path / "tiny.json", {"tiny": {"path": str(tmp_path / "there")}})
    weights.unlink()
    with pytest.raises(SourceError, match=r"model\.safetensors changed"):
        model_directory(tmp_path / "tiny.json", {"tiny": {"path": str(tmp_path / "there")}})
    assert model_directory(tmp_path / "compressed") == tmp_path / "compressed"


def test_another_commit_or_another_entry_of_the_family_is_another_model(place, monkeypatch):
    before = identity_of(place)
    assert before == identity_of({**place, "methods": {"svd": {}}}) and set(before) == {"family"}
    monkeypatch.setitem(FAMILIES, "gpt2", replace(FAMILIES["gpt2"], blocks="elsewhere"))
    assert identity_of(place) == before
    monkeypatch.setitem(FAMILIES, "llama", replace(FAMILIES["llama"], blocks="elsewhere"))
    assert identity_of(place) != before == {"family": before["family"]}
    assert describe_source(place, "tiny")["family"] == identity_of(place)["family"]
