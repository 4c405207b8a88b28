"""What a call is asked for, as a configuration; and what it refuses before any work."""

import pytest

import drank
from drank.calls import request
from drank.calls.request import OPTIONS, require, source_of
from drank.config import read_schema
from drank.models.sources import SourceError
from drank.runtime.shipped import SCHEMA, WORKFLOW

TEXT = "one two three\n" * 400


def test_every_option_of_a_method_in_the_schema_is_a_keyword():
    assert set(OPTIONS) | {"base"} == set(read_schema(SCHEMA)["$defs"]["method"]["properties"]) - {"checkpoint", "calibration"}


def test_the_workflow_is_where_it_is_said_to_be():
    assert (WORKFLOW / "Snakefile").is_file()
    assert (WORKFLOW / "config/config.yaml").is_file()


def test_what_a_model_can_be(tmp_path):
    (tmp_path / "my model").mkdir()
    assert source_of(tmp_path / "my model") == ("my-model", {"path": str(tmp_path / "my model")})
    assert source_of("docs-mha") == ("docs-mha", {"embedded": "docs-mha"})
    assert source_of("org/Name-1.5B", "main") == ("Name-1.5B", {"hub": "org/Name-1.5B", "revision": "main"})
    with pytest.raises(SourceError, match=r"'docs-mah' is no directory here \(did you mean docs-mha"):
        source_of("docs-mah")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"betta": 0.1}, r"'betta' \(did you mean beta\?\)"),
        ({"method": "d-rang"}, r"'d-rang' is unknown \(did you mean d-rank"),
        ({"method": "d-rank", "beta": 2}, r"methods\.d-rank\.beta: 2"),
        ({"ratio": 1.5}, "1.5 is no ratio"),
        ({"ratio": 0.999}, "leaves too little for rank 1"),
        ({"windows": -1, "batch": 0}, r"(?s)calibration\.batch.*calibration\.windows"),
        ({"length": 5000}, "past the model's context of 512"),
        ({"device": "gpu"}, r"compute\.device"),
        ({"text": None}, "reads calibration text and none was given"),
        ({"method": "dense"}, "name one that compresses"),
        ({"text": "no-such.txt"}, "'no-such.txt': there is no such file"),
        ({"method": "svd", "mix": 0.5}, "mix would change nothing"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(arguments, words, tmp_path):
    given = {"text": TEXT, "length": 64, "work": tmp_path / "work", **arguments}
    with pytest.raises((ValueError, TypeError, OSError), match=words):
        drank.compress("docs-mha", **given)
    assert not (tmp_path / "work/results").exists()


def test_methods_that_read_no_text_need_none():
    plan = drank.plan("docs-mha", "svd", 0.5)
    assert plan.method == "svd"
    assert plan.parameters <= plan.dense_parameters / 2


def test_missing_packages_are_named_before_the_work(monkeypatch):
    monkeypatch.setattr(request.importlib.util, "find_spec", lambda name: None)
    config = {
        "corpora": {"wiki": {"hub": "a/b"}},
        "zeroshot": {"tasks": ["arc"]},
        "methods": {"lora": {"base": "svd", "finetune_from": 0.2}},
    }
    with pytest.raises(
        ImportError, match=r"wiki needs datasets; task arc needs lm_eval, datasets; .*lora needs peft: pip install .+\[pipeline\]"
    ):
        require(config)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing is to be measured"),
        ({"text": "no-such.txt"}, "there is no such file"),
        ({"text": TEXT, "length": 5000}, "length is 5000, past the model's context of 512"),
        ({"tasks": "arc_esy"}, r"'arc_esy'.*arc_easy"),
        ({"text": TEXT, "throughput": {"prompts": 3}}, r"'prompts' is unknown \(did you mean prompt"),
        ({"text": TEXT, "split": "dev ", "windows": 0}, r"perplexity\.windows"),
    ],
)
def test_what_cannot_be_measured_is_told_first(arguments, words):
    with pytest.raises((ValueError, OSError), match=words):
        drank.evaluate("docs-mha", **arguments)


def test_what_vllm_cannot_time_is_told_before_anything_is_measured():
    """The context of the model is 512, and vLLM counts the token that comes last."""
    timed = {"engine": "vllm", "prompt": 480, "generate": 32}
    with pytest.raises(ValueError, match=r"counts the token that comes last: prompt \+ generate \+ 1 is past the context of 512 tokens"):
        drank.evaluate("docs-mha", throughput=timed)
    with pytest.raises(ValueError, match="leave variants out"):
        drank.evaluate("docs-mha", throughput={"engine": "vllm", "variants": ["plain", "fused"]})


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        drank.evaluate(tmp_path, text=TEXT)


def test_what_is_compressed_already_is_refused_by_its_name(tmp_path):
    drank.compress("docs-mha", "svd", 0.5, out=tmp_path / "once")
    with pytest.raises(ValueError, match=r"once is compressed by drank already; name the dense model") as caught:
        drank.compress(tmp_path / "once", "svd", 0.5, out=tmp_path / "twice")
    assert len(str(caught.value).splitlines()) == 2
