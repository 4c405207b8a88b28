"""What a call must not do to what is there, and what it says where it cannot do what it is asked."""

import json
import logging

import pytest
from click.testing import CliRunner

import drank
from drank.command import drank as command
from drank.corpora.overlap import SeenTextError
from drank.models.checkpoint import load_model
from drank.models.description import CheckpointError
from drank.models.documents import CARD, MAKING, PLAN
from tests.workflow.runs import WORDS, write_model

FEW = {"length": 32, "threads": 1}
TEXT = " ".join(WORDS * 40) + "\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_model(folder)
    return folder


@pytest.fixture
def smaller(model, tmp_path):
    drank.compress(model, "svd", 0.4, out=tmp_path / "smaller", threads=1)
    return tmp_path / "smaller"


def test_a_readme_of_the_users_own_stays_where_a_model_is_saved(smaller, tmp_path, caplog):
    mine = {CARD: "my own readme", PLAN: '{"plan": "of my thesis"}', MAKING: "[1]"}
    (tmp_path / "mine").mkdir()
    for name, text in mine.items():
        (tmp_path / "mine" / name).write_text(text)
    load_model(smaller).save_pretrained(tmp_path / "mine")
    assert {name: (tmp_path / "mine" / name).read_text() for name in mine} == mine
    assert "is not drank's" in caplog.text
    load_model(smaller).save_pretrained(tmp_path / "again")
    load_model(smaller).save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / PLAN).is_file()


def test_a_plan_does_not_replace_a_folder(model, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("kept")
    with pytest.raises(FileExistsError, match=r"is a folder, and a plan is a file"):
        drank.plan(model, "svd", 0.4, out=tmp_path / "notes")
    assert (tmp_path / "notes/a.txt").read_text() == "kept"


def test_a_model_is_not_measured_on_text_that_it_was_made_on_unless_that_is_meant(model, tmp_path):
    """By what the text says: under another name and out of another place it is the same."""
    drank.compress(model, "svd-llm", 0.4, TEXT, tmp_path / "made", windows=4, **FEW)
    (tmp_path / "renamed.txt").write_text(TEXT)
    with pytest.raises(SeenTextError, match=r"^renamed is text that .*made was made on \(text-1, split train\).*`seen=True`, `--seen`"):
        drank.evaluate(tmp_path / "made", ["other words\n" * 99, str(tmp_path / "renamed.txt")], **FEW)
    assert drank.evaluate(tmp_path / "made", TEXT, seen=True, **FEW)["perplexity"].method == "svd-llm"
    assert drank.evaluate(tmp_path / "made", TEXT + "more", **FEW)["perplexity"].method == "svd-llm"


def test_records_need_a_folder(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file, and records are written to a folder"):
        drank.evaluate(model, TEXT, out=tmp_path / "file", **FEW)


def test_a_compressed_folder_without_its_plan_is_known_by_its_making(smaller):
    (smaller / PLAN).unlink()
    record = drank.evaluate(smaller, TEXT, **FEW)["perplexity"]
    assert (record.model, record.method, record.ratio) == ("tiny", "svd", 0.4)
    assert record.provenance["method"]["title"] == "SVD"
    (smaller / MAKING).unlink()
    with pytest.raises(ValueError, match=r"has neither plan\.json nor making\.json"):
        drank.evaluate(smaller, TEXT, **FEW)


def test_a_dense_folder_with_a_plan_of_somebody_else_is_dense(model, tmp_path):
    write_model(tmp_path / "other")
    (tmp_path / "other" / PLAN).write_text('{"plan": "of my thesis"}')
    assert drank.evaluate(tmp_path / "other", TEXT, **FEW)["perplexity"].method == "dense"


def test_what_a_model_writes_can_be_left_out(model):
    found = [drank.evaluate(model, TEXT, **FEW, **asked)["perplexity"] for asked in ({}, {"continuations": 2}, {"continuations": 0})]
    written = [next(iter(record.detail.values())).get("continuations", []) for record in found]
    assert len(written[0]) > 2 == len(written[1]) and written[2] == []
    with pytest.raises(ValueError, match=r"continuations\.prompts: -1 is less than the minimum of 0"):
        drank.evaluate(model, TEXT, **FEW, continuations=-1)


def test_a_long_path_is_a_path(model, tmp_path):
    place = tmp_path / ("a" * 120) / ("b" * 120)
    place.mkdir(parents=True)
    (place / "t.txt").write_text(TEXT * 4)
    record = drank.evaluate(model, str(place / "t.txt"), **FEW)["perplexity"]
    assert record.results[0].dataset == "t"


def test_adapters_are_told(model, tmp_path):
    import peft

    adapted = peft.get_peft_model(load_model(model), peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ValueError, match="merge_and_unload"):
        drank.compress(adapted, "svd", 0.4, tokenizer=object())
    adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match="holds a PEFT adapter"):
        drank.compress(tmp_path / "adapter", "svd", 0.4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"windows": 5}, "windows say how much text is read, and none is given"),
        ({"text": TEXT, "length": 0}, r"calibration\.length"),
        ({"threads": 0}, r"compute\.threads"),
        ({"revision": "main"}, "revision is that of a model on the hub"),
        ({"tokenizer": "x"}, "tokenizer is that of a loaded model"),
    ],
)
def test_no_option_is_dropped(model, arguments, words):
    with pytest.raises(ValueError, match=words):
        drank.compress(model, "svd", 0.4, **arguments)


def test_a_size_that_is_none_is_told(smaller, tmp_path):
    with pytest.raises(ValueError, match="'foo' is no size"):
        drank.export(smaller, tmp_path / "plain", max_shard_size="foo")


def test_a_torch_dtype_and_device_will_do(model):
    import torch

    made = drank.compress(model, "svd", 0.4, dtype=torch.bfloat16, device=torch.device("cpu"), threads=1)
    assert made.dtype == torch.bfloat16


def test_the_level_that_a_program_has_set_holds(model, capsys):
    logger = logging.getLogger("drank")
    logger.setLevel(logging.ERROR)
    try:
        drank.plan(model, "svd", 0.4, threads=1)
    finally:
        logger.setLevel(logging.NOTSET)
    assert "done in" not in capsys.readouterr().err


def test_show_of_nothing_is_a_failure(tmp_path):
    assert CliRunner().invoke(command, ["show", str(tmp_path / "nosuch")]).exit_code == 1


def test_a_damaged_making_is_no_secret(smaller):
    config = json.loads((smaller / "config.json").read_text())
    config["quantization_config"]["format"] = 99
    (smaller / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="checkpoint format 99"):
        drank.show(smaller)
