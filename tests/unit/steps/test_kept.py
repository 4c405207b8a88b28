"""Only what was not measured before is measured, and the record is the one of a fresh run."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from drank.evaluation import wanted
from drank.models.families import FAMILIES
from drank.runtime.files import read_json, write_json
from drank.steps import evaluate
from tests.unit.steps.measuring import CODE, TASKS, TEXTS, described, evaluated, write_folder

SHARES = ["1-of-2", "2-of-2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def seen(monkeypatch):
    seen = []
    losses, answers = wanted.losses_of, wanted.answer_tasks
    monkeypatch.setattr(wanted, "losses_of", lambda *args: seen.append(f"text {args[1].corpus}") or losses(*args))
    monkeypatch.setattr(wanted, "answer_tasks", lambda *args, **opts: seen.extend(f"task {t}" for t in args[2]) or answers(*args, **opts))
    return seen


def numbers(records):
    for record in records.values():
        for key in ("date", "seconds", "peak_memory_bytes", "measured"):
            del record["provenance"][key]
    return records


def test_each_measured_alone_is_what_it_is_together(folder, tmp_path):
    both = evaluated(folder, tmp_path, TEXTS, TASKS)
    for place, texts, tasks in (("a", ["words"], []), ("b", ["more"], ["shots"]), ("c", [], ["words"]), ("d", ["more", "words"], [])):
        alone = evaluated(folder, tmp_path / place, texts, tasks)
        for kind, record in alone.items():
            assert record["detail"] == {name: both[kind]["detail"][name] for name in record["detail"]}
            assert [row for row in record["results"] if row["dataset"] != "average"] == [
                row for name in record["detail"] for row in both[kind]["results"] if row["dataset"] == name
            ]


@pytest.mark.parametrize(
    ("before", "after", "measured"),
    [
        ({}, {}, []),
        ({}, {"tasks": ("words", "shots")}, ["task shots"]),
        ({}, {"texts": ("more", "words")}, ["text more"]),
        ({}, {"windows": 4}, ["text words"]),
        ({}, {"limit": 5}, ["task words"]),
        ({"tasks": TASKS, "texts": TEXTS}, {"tasks": ("shots",), "texts": ("more",)}, []),
        ({}, {"code": CODE | {"zeroshot": "edited"}}, ["task words"]),
        ({}, {"code": CODE | {"perplexity": "edited"}}, ["text words"]),
        ({}, {"threads": 2}, ["text words", "task words"]),
        ({}, {"compute": {"device": "cpu", "dtype": "bfloat16"}}, ["text words", "task words"]),
        ({"tasks": ()}, {"tasks": ("words",)}, ["task words"]),
    ],
)
def test_what_is_new_is_measured_alone(folder, tmp_path, seen, before, after, measured):
    evaluated(folder, tmp_path / "before", kept=tmp_path / "kept", **before)
    seen.clear()
    found = evaluated(folder, tmp_path / "after", kept=tmp_path / "kept", **before | after)
    assert seen == measured
    fresh = evaluated(folder, tmp_path / "fresh", **before | after)
    for kind, record in found.items():
        written = {f"continuations of {name}" for name in record["detail"] if kind == "perplexity"}
        assert record["provenance"]["measured"].keys() == record["detail"].keys() | written
        took = [told["seconds"] for told in record["provenance"]["measured"].values()]
        assert record["provenance"]["seconds"] == pytest.approx(sum(took), abs=0.002), kind
    assert numbers(found) == numbers(fresh)


def test_settings_set_back_are_not_measured_again(folder, tmp_path, seen):
    for limit in (6, 9, 6):
        evaluated(folder, tmp_path, limit=limit, kept=tmp_path / "kept")
    assert seen.count("task words") == 2 and seen.count("text words") == 1


def test_other_weights_and_another_tokenizer_are_measured_again(folder, tmp_path, seen):
    run = shutil.copytree(folder, tmp_path / "run")
    described(run)
    evaluated(folder, tmp_path, kept=tmp_path / "kept")
    seen.clear()
    moved = evaluated(run, tmp_path, kept=tmp_path / "kept")
    assert seen == [] and moved, "a moved model with the same bytes is the same"
    path = run / "model/generation_config.json"
    write_json(path, read_json(path) | {"eos_token_id": 1})
    described(run)
    evaluated(run, tmp_path, kept=tmp_path / "kept")
    assert seen == ["text words", "task words"]
    assert len(list((tmp_path / "kept").iterdir())) == 3, "those of the other weights are gone"


def test_another_entry_of_the_family_is_measured_again(folder, tmp_path, seen, monkeypatch):
    evaluated(folder, tmp_path, kept=tmp_path / "kept")
    seen.clear()
    monkeypatch.setitem(FAMILIES, "llama", replace(FAMILIES["llama"], renamed={"never": "there"}))
    described(folder)
    assert evaluated(folder, tmp_path, kept=tmp_path / "kept") and seen == ["text words", "task words"]


def test_the_tokenizer_that_reads_tasks_counts_for_tasks_alone(folder, tmp_path, seen):
    shutil.copytree(folder / "model", tmp_path / "dense")
    described(tmp_path, "dense", "dense")
    options = {"kept": tmp_path / "kept", "beside": str(tmp_path / "dense.json")}
    evaluated(folder, tmp_path, **options)
    seen.clear()
    path = tmp_path / "dense/tokenizer_config.json"
    write_json(path, read_json(path) | {"model_max_length": 17})
    described(tmp_path, "dense", "dense")
    evaluated(folder, tmp_path, **options)
    assert seen == ["task words"]


def test_an_interrupted_measurement_goes_on(folder, tmp_path, seen, monkeypatch):
    answers = wanted.answer_tasks
    monkeypatch.setattr(wanted, "answer_tasks", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        evaluated(folder, tmp_path, TEXTS, kept=tmp_path / "kept")
    monkeypatch.setattr(wanted, "answer_tasks", answers)
    evaluated(folder, tmp_path, TEXTS, kept=tmp_path / "kept")
    assert seen == ["text words", "text more", "task words"]
    monkeypatch.setattr(evaluate.MeasuredModel, "of", None)
    evaluated(folder, tmp_path, TEXTS, kept=tmp_path / "kept")  # where all is there the model is not loaded


def test_a_damaged_piece_is_measured_again(folder, tmp_path, seen):
    found = evaluated(folder, tmp_path, kept=tmp_path / "kept")
    (path,) = (tmp_path / "kept").glob("perplexity-*")
    path.write_text(path.read_text().replace("1", "2", 1))
    seen.clear()
    assert numbers(evaluated(folder, tmp_path, kept=tmp_path / "kept")) == numbers(found)
    assert seen == ["text words"]


def test_shares_measure_what_is_not_there_whole(folder, tmp_path, seen):
    kept = tmp_path / "kept"
    evaluated(folder, tmp_path, kept=kept)
    evaluated(folder, tmp_path, TEXTS, TASKS, kept=kept, share="2-of-3", outputs={"part": tmp_path / "other"})
    seen.clear()
    for share in SHARES * 2:
        evaluated(folder, tmp_path, TEXTS, TASKS, kept=kept, share=share, outputs={"part": tmp_path / share})
    assert seen == ["text more", "task shots"] * 2
    found = evaluated(folder, tmp_path, TEXTS, TASKS, kept=kept, parts=[tmp_path / share for share in SHARES])
    assert numbers(found) == numbers(evaluated(folder, tmp_path / "fresh", TEXTS, TASKS))
    assert len(list(kept.iterdir())) == 6 and not list(kept.glob("*-of-*"))
    seen.clear()
    assert evaluated(folder, tmp_path, TEXTS, TASKS, kept=kept) and seen == []


def test_data_that_cannot_be_told_are_measured_each_time(folder, tmp_path, seen, monkeypatch):
    monkeypatch.setattr(wanted, "content_of", lambda *_: None)
    for _ in range(2):
        evaluated(folder, tmp_path, kept=tmp_path / "kept")
    assert seen == ["text words", "task words", "task words"]


def test_a_task_that_is_none_is_told_before_anything_is_measured(folder, tmp_path, seen):
    with pytest.raises(ValueError, match=r"task one: 'docs-nothing' is not an embedded task(.|\n)*task two: give exactly one of"):
        evaluated(folder, tmp_path, specs={"one": {"embedded": "docs-nothing"}, "two": {}})
    assert seen == []
