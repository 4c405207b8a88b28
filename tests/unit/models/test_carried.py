"""drank.models.carried: what goes along with a model is what lay beside the weights that it was loaded from, wherever these lay."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from drank.models.checkpoint import load_model, load_tokenizer, save
from tests.unit.hub_server import COMMIT
from tests.unit.small_compressed import GROUPS, compressed, tokenizer

ROOT = Path(__file__).parents[3]
SECOND = "d" * 40


@pytest.fixture
def made(tmp_path):
    compressed(tmp_path / "made")
    return tmp_path / "made"


@pytest.fixture
def cache(made, tmp_path):
    """A cache of the hub with two revisions of a model, one of which has another model in a folder; each has a licence of its own."""
    repository = tmp_path / "hub" / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    for revision, commit in (("main", COMMIT), ("v2", SECOND)):
        (repository / "refs" / revision).write_text(commit)
        shutil.copytree(made, repository / "snapshots" / commit)
        (repository / "snapshots" / commit / "LICENSE").write_text(f"that of {revision}")
    shutil.copytree(made, repository / "snapshots" / SECOND / "inner")
    (repository / "snapshots" / SECOND / "inner" / "LICENSE").write_text("that of inner")
    return tmp_path / "hub"


def same(folder: Path, made: Path, licence: str) -> None:
    """All that belongs to the model is there, and the licence."""
    for path in (path for path in made.rglob("*") if path.is_file()):
        assert (folder / path.relative_to(made)).read_bytes() == path.read_bytes(), path.name
    assert (folder / "LICENSE").read_text() == licence


@pytest.mark.parametrize("revision", ["main", "v2"])
def test_a_model_of_the_hub_is_saved_with_the_documents_of_its_revision(revision, cache, made, tmp_path):
    """Transformers fetches weights and configuration; the documents come from the same commit in the cache."""
    call = "AutoModelForCausalLM.from_pretrained('someone/tiny', revision=sys.argv[2]).save_pretrained(sys.argv[1])"
    code = f"import sys, drank\nfrom transformers import AutoModelForCausalLM\n{call}"
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "again"), revision]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    same(tmp_path / "again", made, f"that of {revision}")


@pytest.mark.parametrize(
    ("place", "licence"),
    [({}, "that of main"), ({"revision": "v2"}, "that of v2"), ({"revision": "v2", "subfolder": "inner"}, "that of inner")],
    ids=["main", "revision", "folder"],
)
def test_documents_are_those_of_the_cache_the_revision_and_the_folder_that_were_named(place, licence, cache, made, tmp_path):
    model = AutoModelForCausalLM.from_pretrained("someone/tiny", cache_dir=cache, **place)
    model.save_pretrained(tmp_path / "again")
    same(tmp_path / "again", made, licence)
    model.model.save_pretrained(tmp_path / "base")
    assert (tmp_path / "base" / "LICENSE").read_text() == licence


def test_documents_are_those_of_the_folder_below_that_was_named(cache, made, tmp_path):
    folder = cache / "models--someone--tiny" / "snapshots" / SECOND
    AutoModelForCausalLM.from_pretrained(folder, subfolder="inner").save_pretrained(tmp_path / "again")
    same(tmp_path / "again", made, "that of inner")


def test_a_model_that_drank_saved_elsewhere_is_the_one_there(made, tmp_path):
    (made / "LICENSE").write_text("that of before")
    model = load_model(made)
    save(model, load_tokenizer(made), GROUPS, tmp_path / "there")
    (tmp_path / "there" / "LICENSE").write_text("that of there")
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "LICENSE").read_text() == "that of there"


def test_what_transformers_does_not_say_is_looked_for_by_the_name(made, tmp_path):
    """As with a version of it that tells a quantiser no files."""
    model = AutoModelForCausalLM.from_pretrained(made)
    del model._drank_read_from
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "making.json").read_bytes() == (made / "making.json").read_bytes()


def test_a_tokenizer_that_lies_there_gets_no_files_of_another(made, tmp_path):
    (made / "special_tokens_map.json").write_text('{"eos_token": "w1"}')
    (made / "LICENSE").write_text("that of the model")
    mine = tokenizer()
    mine.eos_token = "w3"
    mine.save_pretrained(tmp_path / "again")
    AutoModelForCausalLM.from_pretrained(made).save_pretrained(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").eos_token == "w3"
    assert not (tmp_path / "again" / "special_tokens_map.json").exists()
    assert (tmp_path / "again" / "LICENSE").read_text() == "that of the model"
