"""Groups of tasks in a folder."""

from __future__ import annotations

import json

import pytest
import yaml

CHOICES = ["yes", "a longer answer", "no", "some other answer"]
SIZES = {"one": 12, "two": 5, "three": 9}


def define(folder, name, told):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(told))
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Three tasks of which two have a tag, the latter by what it includes, in a group of tasks, one of a tag and one inside it."""
    metrics = [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")]
    base = {"dataset_path": "json", "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "context"}
    base |= {"doc_to_choice": "choices", "doc_to_target": "gold", "metric_list": metrics}
    (tmp_path / "base").write_text(yaml.safe_dump({"tag": ["short", "tiny"], **base}))
    for shift, (name, size) in enumerate(SIZES.items()):
        items = [{"context": f"Number {i} of {name}:", "choices": CHOICES, "gold": (i * i + shift) % 4} for i in range(size)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        own = {"task": name, "dataset_kwargs": {"data_files": {"test": str(tmp_path / f"{name}.jsonl")}}, "metadata": {"version": shift}}
        define(tmp_path, name, {**own, **(base if name == "three" else {"include": "base"})})
    define(tmp_path, "inner", {"group": "inner", "task": ["short"], "aggregate_metric_list": {"metric": "acc", "weight_by_size": True}})
    plain = {"metric": "acc", "weight_by_size": False, "aggregation": "mean"}
    define(tmp_path, "outer", {"group": "outer", "task": ["inner", {"task": "three", "num_fewshot": 1}], "aggregate_metric_list": [plain]})
    (tmp_path / "outer.yaml").write_text((tmp_path / "outer.yaml").read_text() + "metadata: {version: 3}\n")
    return tmp_path
