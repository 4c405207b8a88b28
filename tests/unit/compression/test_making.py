"""A compressed model's folder tells the whole method, the texts, and when, where and how long it was made."""

import json
import time
from dataclasses import fields

import pytest

from drank.allocation.plan import Plan
from drank.compression.making import Making, making_of
from drank.methods import METHODS, Method
from drank.models.documents import MAKING, PLAN
from drank.models.groups import Group, Shape

GROUPS = (Group(Shape("q", (0, 1), 8, 8), 3.0, 3),)


def plan_by(method, ratio):
    calibration = {"corpus": "wiki", "split": "train", "windows": 4, "length": 16, "text_sha256": "0" * 64}
    return Plan("tiny", "mine", ratio, method.settings(ratio), GROUPS, calibration)


def test_documents_hold_every_field_of_the_method_and_what_was_read(tmp_path):
    plan = plan_by(METHODS["l-rank"], 0.2)
    base = {"source": {"path": "/home/somebody/models/tiny"}, "licence": "mit", "files": {"config.json": "0" * 64}}
    making = Making(plan, "cpu", 1, base)
    with making.stage("factors"):
        time.sleep(0.02)
    with making.stage("finetune", {"corpus": "books", "epochs": 2}):
        pass
    (tmp_path / PLAN).write_text(plan.to_json())
    (tmp_path / MAKING).write_text(making.to_json())
    found = making_of(tmp_path)
    assert Plan.read(tmp_path / PLAN) == plan
    assert found["method"] == plan.settings and found["method"].keys() == {field.name for field in fields(Method)}
    assert (found["model"], found["label"], found["ratio"]) == ("tiny", "mine", 0.2)
    assert found["calibration"] == plan.calibration
    assert found["base"] == base | {"source": {"path": "tiny"}}, "where it lies on this machine is nobody's business"
    assert found["texts"] == {"finetune": {"corpus": "books", "epochs": 2}}
    assert found["stages"]["factors"] >= 0.02 and set(found["stages"]) == {"factors", "finetune"}
    assert found["seconds"] >= found["stages"]["factors"]
    assert found["machine"]["cpu"] and found["date"] and found["packages"]["torch"]


def test_a_stage_that_fails_is_not_one_that_took_time():
    making = Making(plan_by(METHODS["svd"], 0.2), "cpu", 1)
    with pytest.raises(ValueError, match="no"), making.stage("refit"):
        raise ValueError("no")
    assert json.loads(making.to_json())["stages"] == {}


def test_a_folder_that_drank_did_not_compress_was_not_made_by_it(tmp_path):
    assert making_of(tmp_path) is None
