"""The step that finds somebody else's checkpoint."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from drank.models.sources import SourceError, describe_source
from drank.runtime.files import read_json, write_json
from drank.steps.checkpoint import run as find


def write(folder, entries):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": entries}))
    save_file({"model.embed_tokens.weight": torch.zeros(entries, 2)}, folder / "model.safetensors")
    return {"path": str(folder)}


def test_a_checkpoint_is_described_as_a_source_or_refused(tmp_path):
    """A hub's checkpoint is seen here for the first time, so that the step refuses what the check of the configuration could not see."""
    dense, theirs, other = (write(tmp_path / name, entries) for name, entries in (("dense", 4), ("theirs", 4), ("other", 5)))
    write_json(tmp_path / "dense.json", describe_source(dense, "tiny"))
    places = {"tiny": dense, "tiny/theirs": theirs, "tiny/other": other}
    find(tmp_path / "theirs.json", name="tiny/theirs", places=places, beside=tmp_path / "dense.json")
    assert read_json(tmp_path / "theirs.json") == describe_source(theirs, "tiny/theirs")
    with pytest.raises(SourceError, match=r"checkpoint .*other: its vocabulary has 5 entries and the dense model's 4"):
        find(tmp_path / "other.json", name="tiny/other", places=places, beside=tmp_path / "dense.json")
    assert not (tmp_path / "other.json").exists()
