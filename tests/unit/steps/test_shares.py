"""The record of a measurement in four jobs is that of one."""

from __future__ import annotations

import pytest

from drank.corpora import write
from drank.corpora.documents import Document
from drank.corpora.windows import tokenize, write_tokens
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import describe_source
from drank.runtime.files import read_json, write_json
from drank.steps import evaluate
from tests.unit.steps.measuring import how
from tests.workflow.runs import write_inputs

SHARES = [f"{number}-of-4" for number in range(1, 5)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with the records of one job, the parts of four, and what these have in common."""
    folder = tmp_path_factory.mktemp("measured")
    write_inputs(folder)
    write_json(folder / "source.json", describe_source({"path": str(folder / "model")}, "tiny"))
    write(
        folder / "words.parquet", {"files": {"test": "test.txt"}}, [Document("test", "test.txt", (folder / "test.txt").read_text()[:1500])]
    )
    tokens = tokenize(load_tokenizer(folder / "model"), folder / "words.parquet", "words", "test")
    write_tokens(folder / "words.safetensors", tokens)
    assert len(tokens.consecutive(32)) == 11, "in batches of two: six, the last of one window"
    what = how() | {
        "model": str(folder / "source.json"),
        "places": {"tiny": {"path": str(folder / "model")}},
        "tokens": [str(folder / "words.safetensors")],
        "tasks": {"words": {"yaml": str(folder / "task.yaml")}},
        "data": [str(folder / "task.jsonl")],
    }
    evaluate.run({kind: folder / f"one/{kind}.json" for kind in ("perplexity", "zeroshot")}, **what)
    for share in SHARES:
        evaluate.run({"part": folder / share}, **what, share=share)
    return folder, what


def test_four_jobs_leave_the_records_of_one(measured, monkeypatch):
    """But for when it was, how long it took and how much memory: and they are put together without the model."""
    folder, what = measured
    monkeypatch.setattr(evaluate.MeasuredModel, "of", None)
    evaluate.run({kind: folder / f"four/{kind}.json" for kind in ("perplexity", "zeroshot")}, **what, parts=[folder / s for s in SHARES])
    for kind, kinds in (("perplexity", ("perplexity", "continuations")), ("zeroshot", ("zeroshot",))):
        one, four = (read_json(folder / jobs / f"{kind}.json") for jobs in ("one", "four"))
        pieces = [piece for share in SHARES for piece in read_json(folder / share)["pieces"] if piece["key"]["kind"] in kinds]
        taken = [piece["took"]["origin"] for piece in pieces]
        assert four["provenance"]["seconds"] == pytest.approx(sum(part["seconds"] for part in taken), abs=0.002)
        assert four["provenance"]["peak_memory_bytes"] == max(part["peak_memory_bytes"] for part in taken)
        for record in (one, four):
            for key in ("date", "seconds", "peak_memory_bytes", "measured"):
                del record["provenance"][key]
        assert four == one


def test_a_measurement_is_not_made_of_some_of_its_parts(measured, tmp_path):
    folder, what = measured
    with pytest.raises(ValueError, match="shares 1-of-4, 2-of-4, 4-of-4, and all of one division"):
        evaluate.run({"perplexity": tmp_path / "p.json"}, **what, parts=[folder / SHARES[i] for i in (0, 1, 3)])


def parts_with(folder, place, **changes):
    """The parts of four jobs, of which one was measured on a machine that told otherwise."""
    place.mkdir()
    told = [read_json(folder / share) for share in SHARES]
    for piece in told[1]["pieces"]:
        piece["took"]["origin"] |= changes.get("origin", {})
        piece["key"]["computing"] |= changes.get("computing", {})
        piece["key"] |= changes.get("key", {})
    for share, one in zip(SHARES, told, strict=True):
        write_json(place / share, one)
    return [place / share for share in SHARES]


def test_parts_of_other_machines_are_told(measured, tmp_path):
    folder, what = measured
    machine = read_json(folder / SHARES[0])["pieces"][0]["took"]["origin"]["machine"]
    parts = parts_with(folder, tmp_path / "parts", origin={"machine": machine | {"cpu": "another", "gpu": "a GPU"}})
    evaluate.run({kind: tmp_path / f"{kind}.json" for kind in ("perplexity", "zeroshot")}, **what, parts=parts)
    for kind in ("perplexity", "zeroshot"):
        told = read_json(tmp_path / f"{kind}.json")["provenance"]["machine"]
        assert set(told["cpu"].split(" + ")) == {machine["cpu"], "another"} and told["gpu"] == "a GPU"


@pytest.mark.parametrize(
    "changes",
    [
        {"computing": {"device": "cuda"}},
        {"computing": {"threads": 7}},
        {"computing": {"dtype": "bfloat16"}},
        {"key": {"packages": {"torch": "0.1"}}},
        {"key": {"code": "another"}},
        {"key": {"read": {"tokens_sha256": "another"}}},
    ],
)
def test_parts_that_compute_otherwise_or_something_else_are_refused(measured, tmp_path, changes):
    folder, what = measured
    with pytest.raises(ValueError, match="differ in device, threads, precision or packages, or were measured with other settings"):
        evaluate.run({"perplexity": tmp_path / "p.json"}, **what, parts=parts_with(folder, tmp_path / "parts", **changes))
