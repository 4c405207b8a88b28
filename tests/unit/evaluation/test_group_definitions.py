"""What groups and tags stand for, in the harness and in a folder of a user's, which files they read, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import lm_eval
import pytest
import yaml
from lm_eval.tasks._index import TaskIndex

from drank.evaluation.wanted import wanted_tasks
from drank.evaluation.zeroshot import check_tasks, expanded, files_of, needs_hub
from drank.evaluation.zeroshot.contents import content_of
from tests.unit.evaluation.grouped import SIZES, define, folder

__all__ = ["folder"]


@pytest.mark.parametrize("name", ["mmlu", "ai2_arc", "arithmetic", "bbh_fewshot", "glue", "mmlu_stem"])
def test_groups_of_the_installed_harness_stand_for_the_tasks_that_it_says(name, index):
    def beneath(one):
        entry = index[one]
        if entry.kind.name == "TAG":
            return [task for tag in sorted(entry.tags) for task in beneath(tag)]
        told = entry.cfg.get("task") if entry.kind.name == "GROUP" else None
        return [one] if told is None else [task for inner in ([told] if isinstance(told, str) else told) for task in beneath(inner)]

    found = expanded({"x": {"harness": name, "fewshot": 5, "revision": "main"}})
    assert [task.removeprefix("x/") for task in found.tasks] == beneath(name)
    assert all((spec["fewshot"], spec["revision"]) == (5, "main") for spec in found.tasks.values())


@pytest.fixture(scope="module")
def index():
    """The harness's own reading of these folders; of all it takes half a minute."""
    root = Path(lm_eval.tasks.__file__).parent
    return TaskIndex.build([root / name for name in ("mmlu/default", "arc", "arithmetic", "bbh", "glue")])


def test_mmlu_is_asked_at_once_and_its_sections_with_it():
    assert check_tasks({"mmlu": {"harness": "mmlu"}}) == []
    found = expanded({"mmlu": {"harness": "mmlu"}})
    assert len(found.tasks) == 57
    assert {name: (len(group.tasks), group.by_size) for name, group in found.groups.items()} == {
        "mmlu": (57, True),
        "mmlu/mmlu_stem": (19, True),
        "mmlu/mmlu_other": (13, True),
        "mmlu/mmlu_social_sciences": (12, True),
        "mmlu/mmlu_humanities": (13, True),
    }


def test_every_problem_of_a_group_is_told_at_once(folder):
    over = {"group": "over", "task": ["one", "tow", {"task": "arc_esay"}, "over"], "aggregate_metric_list": [{"metric": "acc"}]}
    define(folder, "over", over)
    define(folder, "mean", {"group": "mean", "task": ["one"], "aggregate_metric_list": [{"metric": "mcc"}]})
    define(folder, "none", {"group": "none", "task": []})
    define(folder, "twice", {"group": "twice", "task": ["one", {"task": "one", "num_fewshot": 2}]})
    (folder / "called.yaml").write_text("group: called\ntask: [{task: one, process_docs: !function utils.docs}]\n")
    define(folder, "exact", {"group": "exact", "task": ["one"], "aggregate_metric_list": [{"metric": "exact_match"}]})
    define(folder, "other", {"group": "other", "task": [{"task": "one", "include": "two.yaml"}]})
    names = ("over", "mean", "none", "twice", "called", "exact", "other")
    problems = check_tasks({name: {"yaml": str(folder / f"{name}.yaml")} for name in names})
    wanted = [
        "task over: the group over names 'tow', which is no task, group or tag of the installed harness (did you mean two?), nor beside",
        "task over: the group over names 'arc_esay', which is no task, group or tag of the installed harness (did you mean arc_easy",
        "task over: the group over stands inside itself",
        "task mean: the group mean adds up mcc; drank adds up the mean of acc, acc_norm",
        "task none: the group none has no tasks",
        "task twice: one stands twice in the group, with other settings; name it once",
        "task called: a group gives one a function; name it in a definition of the task's own",
        f"task exact/one: {folder / 'one.yaml'} is scored by acc, acc_norm; drank evaluates exact_match",
        "task other: a group gives one an include, which takes the place of its definition; write a definition of the task's own",
    ]
    assert [problem[: len(start)] for problem, start in zip(problems, wanted, strict=True)] == wanted


@pytest.mark.parametrize("spec", [{"harness": "ai2_arc"}, {"harness": "mmlu"}, {"yaml": "outer.yaml"}])
def test_files_of_one_task_are_not_left_unread_where_several_are_named(spec, folder):
    spec = {key: str(folder / value) if key == "yaml" else value for key, value in spec.items()}
    name = Path(next(iter(spec.values()))).stem
    found = check_tasks({"mine": {**spec, "data": {"test": str(folder / "one.jsonl")}}})
    assert f"task mine: data names files of one task, and {name} is a group; name its tasks one by one, or write the group as YAML" in found


def test_what_lies_beside_a_task_does_not_matter_to_it(folder):
    (folder / "dead.yaml").symlink_to(folder / "nowhere")
    (folder / "folder.yaml").mkdir()
    (folder / "bytes.yaml").write_bytes(b"task: \xff")
    assert check_tasks({"one": {"yaml": str(folder / "one.yaml")}}) == []
    (folder / "bytes.yaml").unlink()
    assert check_tasks({"mine": {"yaml": str(folder / "outer.yaml")}}) == []


def test_a_group_is_known_by_its_name_wherever_it_stands(folder):
    """Its `task` may stand before it, and is what is beneath it."""
    (folder / "a.yaml").write_text("task: one\ngroup: first\ntag: short\n")
    define(folder, "all", {"group": "all", "task": ["first", "one", "short"]})
    spec = {"yaml": str(folder / "all.yaml")}
    assert check_tasks({"all": spec}) == []
    assert list(expanded({"all": spec}).tasks) == ["all/one", "all/two"]


def test_local_files_that_a_group_gives_a_task_of_the_harness_are_read(folder):
    data = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(folder / "one.jsonl")}}}
    define(folder, "laid", {"group": "laid", "task": [{"task": "arc_easy", **data}]})
    spec = {"yaml": str(folder / "laid.yaml")}
    assert check_tasks({"laid": spec}) == []
    assert files_of(spec) == [str(folder / "laid.yaml"), str(folder / "one.jsonl")]
    assert not needs_hub(expanded({"laid": spec}).tasks["laid/arc_easy"])


def test_a_task_is_measured_apart_from_its_group(folder, tmp_path):
    """So that a run with one more task in a group measures that alone, and edits of its data or of the group are noticed."""
    spec = {"yaml": str(folder / "outer.yaml")}
    assert set(map(str, files_of(spec))) == {
        str(folder / name)
        for name in ("outer.yaml", "inner.yaml", "base", *(f"{one}.{kind}" for one in SIZES for kind in ("yaml", "jsonl")))
    }
    assert not any(needs_hub(one) for one in expanded({"mine": spec}).tasks.values())
    options = {"batch": 4, "limit": None, "bos": "text"}
    wanted = wanted_tasks({"mine": spec}, {}, options, tmp_path, {})
    assert [one.dataset for one in wanted] == ["mine/one", "mine/two", "mine/three"]
    assert all(one.certain for one in wanted)
    before, key = content_of(spec), wanted[2].key
    define(folder, "outer", yaml.safe_load((folder / "outer.yaml").read_text()) | {"num_fewshot": 2})
    assert content_of(spec) != before
    assert wanted_tasks({"mine": spec}, {}, options, tmp_path, {})[2].key == key, "a task's own setting stands"
    assert wanted_tasks({"mine": spec}, {}, options, tmp_path, {})[0].key != wanted[0].key
