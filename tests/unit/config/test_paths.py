"""Relative paths of a configuration start at its file's folder; those of the command line at the folder of the run."""

import copy

import pytest

from drank.config.paths import rooted

CONFIG = {
    "models": {"mine": {"path": "models/llama"}, "hub": {"hub": "org/name"}, "far": {"path": "/models/far"}},
    "corpora": {
        "one": {"files": {"train": "train.txt", "test": ["a.txt", "b.jsonl"]}},
        "two": {"hub": "org/data", "splits": {"test": "test"}, "data_files": {"test": "part/0.parquet"}},
    },
    "tasks": {"t": {"yaml": "task.yaml"}, "arc": {"harness": "arc_easy", "data": {"test": "arc.parquet"}}},
    "ratios": [0.2],
}


def paths_in(config):
    models, corpora, tasks = config["models"], config["corpora"], config["tasks"]
    return [models["mine"]["path"], *corpora["one"]["files"].values(), tasks["t"]["yaml"], tasks["arc"]["data"]["test"]]


def test_below_the_run_paths_stay_relative_to_it_so_that_it_can_move(tmp_path):
    before = copy.deepcopy(CONFIG)
    found = rooted(CONFIG, tmp_path, tmp_path)
    assert found == CONFIG == before
    inner = rooted(CONFIG, tmp_path / "configs", tmp_path)
    assert paths_in(inner) == [
        "configs/models/llama",
        "configs/train.txt",
        ["configs/a.txt", "configs/b.jsonl"],
        "configs/task.yaml",
        "configs/arc.parquet",
    ]
    assert inner["models"]["far"]["path"] == "/models/far" and inner["models"]["hub"] == CONFIG["models"]["hub"]
    assert inner["corpora"]["two"] == CONFIG["corpora"]["two"], "files of a hub's data set lie on the hub"


def test_elsewhere_they_start_at_the_file_that_holds_them(tmp_path):
    found = rooted(CONFIG, tmp_path / "project", tmp_path / "run")
    root = (tmp_path / "project").as_posix()
    assert paths_in(found)[0] == f"{root}/models/llama" and paths_in(found)[2] == [f"{root}/a.txt", f"{root}/b.jsonl"]


def test_home_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = rooted({"models": {"mine": {"path": "~/llama"}}}, tmp_path / "project", tmp_path / "run")
    assert found["models"]["mine"]["path"] == (tmp_path / "home/llama").as_posix()


def test_given_plans_start_where_all_other_paths_do(tmp_path):
    plan = {"plan": "plans/{ratio}.json"}
    config = {"methods": {"found": {**plan, "base": "svd"}}, "models": {"mine": {"hub": "a/b", "methods": {"found": plan}}}}
    found = rooted(config, tmp_path / "configs", tmp_path)
    assert found["methods"]["found"] == {"plan": "configs/plans/{ratio}.json", "base": "svd"}
    assert found["models"]["mine"]["methods"]["found"] == {"plan": "configs/plans/{ratio}.json"}


ODD = [
    *({"models": None}, {"models": ["x"]}, {"corpora": {"a": {"files": "t.txt"}}}),
    *({"tasks": {"t": {"yaml": 3}}}, {"methods": {"m": {"plan": 3}}}),
]


@pytest.mark.parametrize("odd", ODD)
def test_what_does_not_fit_the_schema_is_left_for_it_to_complain_of(tmp_path, odd):
    assert rooted(odd, tmp_path / "project", tmp_path) == odd
