"""One call compresses a model: what comes back, what is saved, what is kept and what is refused."""

import hashlib
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import drank
from drank.calls import work
from drank.compression.making import making_of
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.tensors import size_of
from tests.workflow.runs import WORDS, write_model

FEW = {"windows": 8, "length": 32, "threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def text():
    generator = torch.Generator().manual_seed(3)
    return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (3000,), generator=generator))


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.arange(8)[None]).logits


def weights(folder):
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("method", ["l-rank", "d-rank", "aa-svd"])
def test_what_comes_back_is_what_is_saved(model, text, method, tmp_path):
    out = tmp_path / "smaller"
    made = drank.compress(model, method, 0.4, text, out, **FEW)
    assert torch.equal(logits(made), logits(load_model(out)))
    assert size_of(out).ratio_stored >= 0.4 - 1e-9
    assert making_of(out)["label"] == method
    assert load_tokenizer(out)("the rank").input_ids == load_tokenizer(model)("the rank").input_ids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["smaller"], "the folder of the work goes when all is done"
    assert made.name_or_path == str(out)


def test_the_refit_that_is_asked_for_is_the_one_that_is_made(model, text, tmp_path):
    """By the weights: none alike, of the same ranks and bytes."""
    made = {}
    for number, options in enumerate(({"refit_from": None}, {"refit": "compensated"}, {}, {"compensation": 0.0})):
        drank.compress(model, "aa-svd", 0.4, text, tmp_path / str(number), **options, **FEW)
        made[weights(tmp_path / str(number))] = size_of(tmp_path / str(number)).ratio_stored
    assert len(made) == 4 and len(set(made.values())) == 1


def test_options_of_a_method_are_keywords(model, text, tmp_path):
    plan = drank.plan(model, "d-rank", 0.3, text, tmp_path / "plan.json", group=1, beta=0, refit_from=None, **FEW)
    assert (plan.settings["group"], plan.settings["beta"], plan.settings["refit_from"]) == (1, 0, None)
    assert drank.plan(model, "d-rank", 0.3, text, beta=0, **FEW).settings["group"] == 2
    assert '"method": "d-rank"' in (tmp_path / "plan.json").read_text()


def test_a_loaded_model_is_as_good_as_its_directory_and_stays_as_it_was(model, text, tmp_path):
    loaded = load_model(model)
    before = logits(loaded)
    drank.compress(loaded, "svd-llm", 0.4, text, tmp_path / "a", tokenizer=load_tokenizer(model), **FEW)
    drank.compress(model, "svd-llm", 0.4, text, tmp_path / "b", **FEW)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert torch.equal(logits(loaded), before)
    with pytest.raises(ValueError, match="comes with its tokenizer"):
        drank.compress(loaded, "svd", 0.4)


def test_without_a_place_the_model_only_comes_back(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = drank.compress(model, "svd", 0.4, threads=1)
    assert logits(made).isfinite().all()
    assert list(tmp_path.iterdir()) == []


def test_a_kept_folder_serves_the_next_ratio(model, text, tmp_path, monkeypatch):
    drank.compress(model, "svd-llm", 0.4, text, tmp_path / "a", work=tmp_path / "work", **FEW)
    ran = []
    original = work.step_of
    monkeypatch.setattr(work, "step_of", lambda rule: ran.append(rule) or original(rule))
    drank.compress(model, "svd-llm", 0.2, text, tmp_path / "b", work=tmp_path / "work", **FEW)
    assert ran == ["source", "allocate", "compress"]


def test_an_interrupted_call_goes_on(model, text, tmp_path, monkeypatch, capsys):
    original = work.step_of
    ran = []

    def broken(rule):
        ran.append(rule)
        if rule == "compress" and ran.count(rule) == 1:
            raise KeyboardInterrupt
        return original(rule)

    monkeypatch.setattr(work, "step_of", broken)
    with pytest.raises(KeyboardInterrupt):
        drank.compress(model, "svd-llm", 0.4, text, tmp_path / "out", **FEW)
    assert (tmp_path / "out.work/results").is_dir()
    del ran[:-1]
    drank.compress(model, "svd-llm", 0.4, text, tmp_path / "out", **FEW)
    assert ran == ["compress", "source", "compress"]
    assert not (tmp_path / "out.work").exists()


def test_nothing_that_is_there_is_lost(model, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("years")
    with pytest.raises(FileExistsError, match="drank has not made it"):
        drank.compress(model, "svd", 0.4, out=full, overwrite=True)
    with pytest.raises(FileExistsError, match="is the very model that is read"):
        drank.compress(model, "svd", 0.4, out=model, overwrite=True)
    drank.compress(model, "svd", 0.4, out=tmp_path / "made", threads=1)
    before = weights(tmp_path / "made")
    with pytest.raises(FileExistsError, match="holds a model that drank made"):
        drank.compress(model, "svd", 0.2, out=tmp_path / "made")
    assert weights(tmp_path / "made") == before
    drank.compress(model, "svd", 0.2, out=tmp_path / "made", overwrite=True, threads=1)
    assert weights(tmp_path / "made") != before


def test_any_name_that_a_file_system_allows_will_do(model, text, tmp_path):

    place = tmp_path / "mo del [x] %s ü{y}"
    shutil.copytree(model, place)
    (tmp_path / "te xt[1]%d.txt").write_text(text)
    out = tmp_path / "deep/er/out %s[1]"
    drank.compress(place, "svd-llm", 0.4, tmp_path / "te xt[1]%d.txt", f"{out}/", **FEW)
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name]
    found = drank.evaluate(out, tmp_path / "te xt[1]%d.txt", length=32, windows=4, seen=True)
    assert found["perplexity"].results[0].dataset == "te-xt-1-d"


@pytest.mark.parametrize("method", ["svd", "svd-llm"])
def test_a_model_without_a_tokenizer_is_told_before_the_work(model, text, method, tmp_path):

    for name in ("config.json", "model.safetensors"):
        shutil.copy(model / name, tmp_path)
    with pytest.raises(ValueError, match=r"holds no tokenizer; put the tokenizer\.json"):
        drank.compress(tmp_path, method, 0.4, text, tmp_path / "out", **FEW)
    assert not (tmp_path / "out.work/results/moments").exists()


def test_a_text_that_is_none_is_told_by_its_name(model, tmp_path):
    (tmp_path / "bin.txt").write_bytes(b"abc\xff\xfe")
    with pytest.raises(ValueError, match=r"bin\.txt is no text in UTF-8 \(byte 3 of it is 0xff\)"):
        drank.compress(model, "svd-llm", 0.4, tmp_path / "bin.txt", tmp_path / "out", **FEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin.txt"], "nothing worth keeping is kept"


def test_how_much_is_read_and_which_is_what_was_asked_for(model, text):
    """Unless it is said, windows are as long as the model reads at once, 64 tokens here, where that is less than 2048."""
    asked = {"windows": 5, "length": 24, "batch": 3, "text_seed": 7}
    told = drank.plan(model, "svd-llm", 0.4, text, threads=1, **asked).calibration
    assert {key: told[key] for key in ("windows", "length", "batch", "seed")} == {"windows": 5, "length": 24, "batch": 3, "seed": 7}
    told = drank.plan(model, "svd-llm", 0.4, text, threads=1, windows=4).calibration
    assert {key: told[key] for key in ("windows", "length", "batch", "seed")} == {"windows": 4, "length": 64, "batch": 8, "seed": 13}
    told = drank.plan(model, "l-rank", 0.4, text, threads=1, windows=5, length=24, curvature_windows=2).calibration
    assert (told["windows"], told["gradient_windows"]) == (5, 2)
    search = {"windows": 3, "seed": 21}
    told = drank.plan(model, "swift-svd", 0.4, text, threads=1, windows=5, length=24, search=search).calibration["search"]
    assert {key: told[key] for key in ("windows", "length", "seed")} == {"windows": 3, "length": 24, "seed": 21}


def test_what_the_disk_holds_meanwhile_is_said_first(model, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("drank"), "propagate", False)  # as without pytest's handlers
    drank.plan(model, "fwsvd", 0.4, text, work=tmp_path / "work", **FEW)
    told = f"drank: about 1 MB on disk, and up to 1 MB of hidden states while moments and gradients are taken, in {tmp_path / 'work'}\n"
    said = capsys.readouterr().err
    assert told in said and said.index(told) < said.index("gradients tiny text: done"), said
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    drank.plan(model, "svd-llm", 0.4, text, work=tmp_path / "work", **FEW)
    assert f"{tmp_path / 'work'} has 1 MB free, and about 1 MB are needed: lower `windows`" in capsys.readouterr().err
