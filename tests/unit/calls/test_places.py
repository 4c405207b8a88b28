"""Where a call writes and works, what it never writes over, and what a model that was only returned takes along."""

import shutil

import pytest
from click.testing import CliRunner

import drank
from drank.command import drank as command
from drank.compression.making import making_of
from drank.models.checkpoint import load_tokenizer
from tests.workflow.runs import SENTENCE, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_model(folder)
    return folder


def test_a_place_may_be_a_link_and_holds_neither_the_model_nor_the_work(model, tmp_path):
    real, link = tmp_path / "disk", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    (tmp_path / "dangling").symlink_to(tmp_path / "later")
    for out, kept in ((link, real), (tmp_path / "dangling", tmp_path / "later")):
        drank.compress(model, "svd", 0.4, out=out)
        assert out.is_symlink() and (kept / "config.json").is_file()
    for work_folder in (tmp_path / "same", tmp_path / "same" / "work"):
        with pytest.raises(FileExistsError, match="the work is kept in it"):
            drank.compress(model, "svd", 0.4, out=tmp_path / "same", work=work_folder)
    shutil.copytree(model, real / "base")
    with pytest.raises(FileExistsError, match="holds the model that is read"):
        drank.compress(real / "base", "svd", 0.4, out=real, overwrite=True)
    assert (real / "base" / "config.json").is_file()


def test_a_place_is_where_the_call_was_made(model, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = drank.compress(model, "svd", 0.4, out=".")
    assert made.name_or_path == str(tmp_path / "here")
    assert (tmp_path / "here" / "config.json").is_file()


def test_the_home_is_meant_in_every_path(model, tmp_path, monkeypatch):
    """In Python, and behind `--out=`, no shell stands in for `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "tiny")
    assert CliRunner().invoke(command, ["compress", "~/tiny", "--method=svd", "--out=~/small", "--work=~/kept"]).exit_code == 0
    drank.plan("~/tiny", "svd", 0.4, out="~/plan.json", work="~/kept")
    with pytest.raises(FileExistsError, match="a plan is a file"):
        drank.plan("~/tiny", "svd", 0.4, out="~/small")
    with pytest.raises(FileExistsError, match="is a file"):
        drank.evaluate("~/small", SENTENCE * 20, out="~/plan.json")
    drank.evaluate("~/small", f"{SENTENCE}\n" * 20, out="~/records", length=32, windows=2, continuations=0, threads=1)
    assert str(drank.show("~/small")) == str(drank.show(tmp_path / "small"))
    drank.export("~/small", "~/dense")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "kept", "plan.json", "records", "small", "tiny"]


def test_a_folder_that_somebody_else_made_is_not_taken_for_the_work(model, tmp_path):
    theirs = tmp_path / "smaller.work"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else is in it"):
        drank.compress(model, "svd", 0.4, out=tmp_path / "smaller")
    assert (theirs / "thesis.txt").read_text() == "mine"
    drank.plan(model, "svd", 0.4, work=tmp_path / "other.work")
    with pytest.raises(FileExistsError, match="something else is in it"):
        drank.compress(model, "svd", 0.4, out=tmp_path / "other")
    assert (tmp_path / "other.work" / "results" / "spectra").is_dir()


def test_a_model_that_was_only_returned_is_saved_with_all_that_tells_of_it(model, tmp_path):
    made = drank.compress(model, "svd", 0.4)
    made.save_pretrained(tmp_path / "later")
    assert making_of(tmp_path / "later")["label"] == "svd"
    assert load_tokenizer(tmp_path / "later")("the rank").input_ids == load_tokenizer(model)("the rank").input_ids
    assert "at ratio 0.4" in (tmp_path / "later" / "README.md").read_text()
    record = drank.evaluate(made, f"{SENTENCE}\n" * 20, tokenizer=load_tokenizer(model), length=32, windows=4)["perplexity"]
    assert (record.method, record.ratio) == ("svd", 0.4)
