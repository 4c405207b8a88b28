"""A group of tasks in the record of a step: a row of its own, and one more task in it measured alone."""

from __future__ import annotations

import pytest
import yaml

from drank.evaluation import wanted
from drank.evaluation.zeroshot import files_of
from drank.runtime.files import read_json
from tests.unit.steps.measuring import evaluated, write_folder


def group_of(folder, *shots):
    """A group of the folder's task as it is and with examples, under other names."""
    members = []
    for number in shots:
        own = yaml.safe_load((folder / "task.yaml").read_text()) | {"task": f"shots-{number}", "num_fewshot": number}
        (folder / f"shots-{number}.yaml").write_text(yaml.safe_dump(own))
        members.append(f"shots-{number}")
    told = {"group": "all", "task": members, "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}]}
    (folder / "group.yaml").write_text(yaml.safe_dump(told))
    return {"all": {"yaml": str(folder / "group.yaml")}}


def test_a_group_is_measured_task_by_task_and_written_as_one(tmp_path, monkeypatch):
    folder, seen, answer = write_folder(tmp_path), [], wanted.answer_tasks
    monkeypatch.setattr(wanted, "answer_tasks", lambda *args, **options: seen.extend(args[2]) or answer(*args, **options))
    place = tmp_path / "out"
    place.mkdir()
    evaluated(folder, place, (), ("words",), specs=group_of(folder, 0, 1), kept=tmp_path / "kept")
    specs = group_of(folder, 0, 1, 2)
    found = evaluated(folder, place, (), ("words",), specs=specs, kept=tmp_path / "kept", data=files_of(specs["all"]))["zeroshot"]
    assert seen == ["all/shots-0", "all/shots-1", "all/shots-2"]
    values = {row["dataset"]: row["value"] for row in found["results"] if row["metric"] == "accuracy"}
    assert list(values) == ["all", *seen, "average"]
    assert values["all"] == pytest.approx(sum(values[name] for name in seen) / 3) == values["average"]
    assert set(found["detail"]["all"]["shares"]) == set(seen) == set(found["provenance"]["measured"])
    assert f"data {folder / 'group.yaml'}" in found["provenance"]["inputs"]
    assert read_json(place / "zeroshot.json") == found
