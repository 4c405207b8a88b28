"""Definitions of zero-shot tasks: splits and data sets as they exist, and every problem found before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drank.evaluation.zeroshot import check_tasks, fetch_task, needs_hub
from drank.evaluation.zeroshot.definitions import define, read_definition
from drank.evaluation.zeroshot.names import harness_tasks
from drank.testbed.tasks import yaml_for
from tests.unit.evaluation.measuring import evaluate_tasks


@pytest.mark.parametrize("split", ["test", "validation"])
def test_splits_are_mapped_to_those_that_exist(arc, split, tmp_path):
    for name in ("arc_easy", "piqa", "winogrande", "hellaswag", "openbookqa", "mathqa"):
        made = define(name, {"harness": name, "data": {split: str(arc)}}, {}, str(tmp_path))
        merged = read_definition(harness_tasks()[name]) | made
        assert {merged.get(f"{s}_split") for s in ("training", "validation", "test")} == {None, split}
        assert merged["dataset_path"] == "parquet"
        assert merged["dataset_name"] is None
        assert merged["dataset_kwargs"] == {"data_files": {split: str(arc)}, "cache_dir": str(tmp_path)}


def test_hub_data_sets_stay_as_the_harness_names_them(tmp_path):
    assert set(define("a", {"harness": "arc_easy", "fewshot": 3}, {}, str(tmp_path))) == {"include", "task", "num_fewshot"}


def test_a_revision_is_that_of_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    pinned = define("a", {"harness": "arc_easy", "revision": "abc"}, {}, str(tmp_path))
    merged = read_definition(harness_tasks()["arc_easy"]) | pinned
    assert (merged["dataset_path"], merged["dataset_name"], merged["dataset_kwargs"]) == (
        "allenai/ai2_arc",
        "ARC-Easy",
        {"revision": "abc"},
    )


@pytest.mark.parametrize("pin", [{}, {"revision": "abc"}])
def test_what_is_fetched_is_the_revision_asked_for(monkeypatch, pin):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    asked = []

    def load_dataset(**options):
        asked.append(options)
        raise OSError("as far as this test goes")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(OSError, match="as far"):
        fetch_task({"harness": "mathqa", **pin})
    assert asked == [{"path": "regisss/math_qa", "name": None, **pin}]


def test_without_a_network_a_revision_is_read_from_the_cache_or_not_at_all(tmp_path, monkeypatch):
    """Where `datasets` is offline it takes whatever it has prepared last."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    snapshot = tmp_path / "datasets--allenai--ai2_arc" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    pinned = define("a", {"harness": "arc_easy", "revision": "a" * 40}, {}, str(tmp_path))
    assert (pinned["dataset_path"], pinned["dataset_kwargs"]) == (str(snapshot), {})
    with pytest.raises(
        ValueError, match=r"allenai/ai2_arc, revision b+, is not in the local hub cache; run `drank run CONFIGURATION prefetch`"
    ):
        define("a", {"harness": "arc_easy", "revision": "b" * 40}, {}, str(tmp_path))


def test_a_revision_beside_local_files_is_a_problem(arc):
    problems = check_tasks({"t": {"harness": "arc_easy", "revision": "abc", "data": {"test": str(arc)}}})
    assert problems == ["task t: revision is of the hub's data, and data names local files instead; leave one of them out"]


def test_every_problem_is_found_at_once(model, tokenizer, tmp_path):
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "lost.yaml").write_text(yaml.safe_dump(yaml_for("docs-summary", tmp_path / "lost.jsonl")))
    (tmp_path / "a.parquet").write_text("PAR1")
    (tmp_path / "a.txt").write_text("text")
    here = str(tmp_path)
    tasks = {
        "good": {"harness": "arc_easy"},
        "fine": {"embedded": "docs-section"},
        "t1": {"embedded": "docs-sections"},
        "t2": {"harness": "arc_esay"},
        "t3": {"harness": "arc_easy", "data": {"test": f"{here}/none.parquet"}},
        "t4": {"harness": "arc_easy", "data": {"train": f"{here}/a.parquet", "tset": f"{here}/a.txt"}},
        "t5": {"harness": "mmlu", "data": {"test": f"{here}/a.parquet"}},
        "t6": {"harness": "wikitext"},
        "t7": {"yaml": f"{here}/nowhere.yaml"},
        "t8": {"yaml": f"{here}/list.yaml"},
        "t9": {"yaml": f"{here}/broken.yaml"},
        "t10": {"yaml": f"{here}/lost.yaml"},
        "t11": {"embedded": "docs-section", "yaml": "x"},
    }
    problems = check_tasks(tasks)
    for wanted, problem in zip(
        [
            "t1: 'docs-sections' is not an embedded task (did you mean docs-section",
            "t2: 'arc_esay' is not a task of the installed lm-evaluation-harness (did you mean arc_easy",
            f"t3: data file {here}/none.parquet does not exist",
            "t4: data names the splits train, tset; give test or validation",
            "t4: data files must all be of one format",
            "t5: ",
            "t6: ",
            f"t7: cannot read {here}/nowhere.yaml",
            f"t8: cannot read {here}/list.yaml",
            f"t9: cannot read {here}/broken.yaml",
            f"t10: data file {here}/lost.jsonl does not exist",
            "t11: give exactly one of embedded, harness, yaml",
        ],
        problems,
        strict=True,
    ):
        assert problem.startswith(f"task {wanted}")
    assert "data names files of one task, and mmlu is a group; name its tasks one by one" in problems[5]
    assert "is scored by word_perplexity" in problems[6]
    with pytest.raises(ValueError, match="task t1: ") as error:
        evaluate_tasks(model, tokenizer, tasks)
    assert str(error.value).splitlines() == [*problems, "task fine: no items given", *(f"task {t}: no items given" for t in ("t1", "t11"))]
    with pytest.raises(ValueError, match="no tasks to evaluate"):
        evaluate_tasks(model, tokenizer, {})


def test_a_key_given_twice_in_a_definition_or_what_it_includes_is_named(tmp_path):
    base = {**yaml_for("docs-summary", tmp_path / "items.jsonl")}
    (tmp_path / "items.jsonl").write_text("{}\n")
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base) + "doc_to_choice: '{{choices}}'\n")
    (tmp_path / "own.yaml").write_text("include: base.yaml\ntask: a\nprocess_docs: !function f.g\ntask: b\n")
    own, included = check_tasks({"mine": {"yaml": str(tmp_path / "own.yaml")}})
    assert own.startswith(f"task mine: {tmp_path / 'own.yaml'}, lines 2 and 4: key 'task' is given twice")
    assert included.startswith(f"task mine: {tmp_path / 'base.yaml'}, lines ") and "'doc_to_choice' is given twice" in included


def test_a_definition_that_includes_itself_is_refused(tmp_path):
    (tmp_path / "own.yaml").write_text("include: own.yaml\ntask: a\n")
    (problem,) = check_tasks({"mine": {"yaml": str(tmp_path / "own.yaml")}})
    assert problem.startswith(f"task mine: cannot read {tmp_path / 'own.yaml'}: ")


def test_a_task_is_not_called_as_the_mean_of_all():
    (problem,) = check_tasks({"average": {"embedded": "docs-summary"}, "own": {"embedded": "docs-summary"}})
    assert problem.startswith("task average: ") and "another name" in problem


def test_checking_imports_no_heavy_library():
    code = """
import sys
from drank.evaluation.zeroshot import check_tasks, fetch_task, needs_hub
assert check_tasks({"a": {"embedded": "docs-section"}, "b": {"harness": "piqa"}}) == []
assert not {"torch", "transformers", "lm_eval", "datasets"}.intersection(sys.modules), "heavy import"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("name", ["a[b]", "{a}", "a*b", "a?", "a::b", "[!a]"])
def test_data_are_read_whatever_their_path_means_to_others(name, tmp_path):
    """`datasets` takes brackets, stars and the like for patterns, and two colons for an address."""
    import datasets

    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}.jsonl").write_text('{"question": "right"}\n')
    (folder / "ab.jsonl").write_text('{"question": "wrong"}\n')
    (tmp_path / "scratch").mkdir()
    spec = {"harness": "arc_easy", "data": {"test": str(folder / f"{name}.jsonl")}}
    made = define("mine", spec, {}, str(tmp_path / "scratch"))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({key: made[key] for key in ("dataset_path", "dataset_kwargs")}))
    again = define("mine", {"yaml": str(tmp_path / "own.yaml")}, {}, str(tmp_path / "scratch"))
    for definition in (made, again):
        rows = datasets.load_dataset(definition["dataset_path"], **definition["dataset_kwargs"])
        assert rows["test"]["question"] == ["right"]


def test_only_data_of_a_hub_are_fetched(tmp_path):
    (tmp_path / "own.yaml").write_text("dataset_path: json\ndataset_kwargs: {data_files: {test: items.jsonl}}\n")
    (tmp_path / "hub.yaml").write_text("dataset_path: org/items\n")
    wanted = [{"harness": "arc_easy"}, {"yaml": str(tmp_path / "hub.yaml")}]
    local = [{"embedded": "docs-section"}, {"harness": "arc_easy", "data": {"test": "a"}}, {"yaml": str(tmp_path / "own.yaml")}]
    assert [needs_hub(spec) for spec in (*wanted, *local)] == [True, True, False, False, False]
