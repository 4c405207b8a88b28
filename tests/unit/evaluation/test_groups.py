"""Groups and tags of tasks: what they are asked and what they add up to, beside the harness's own numbers."""

from __future__ import annotations

import lm_eval
import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from tests.unit.evaluation.grouped import SIZES, define, folder
from tests.unit.evaluation.measuring import evaluate_tasks

__all__ = ["folder"]


@pytest.fixture
def theirs(folder, model, tokenizer):
    def ask(name):
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        language_model = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
        found = lm_eval.simple_evaluate(language_model, tasks=[name], task_manager=manager, bootstrap_iters=2)
        return found["results"] | found["groups"]

    return ask


def test_a_group_has_the_numbers_of_the_harness(folder, theirs, model, tokenizer):
    rows, detail = evaluate_tasks(model, tokenizer, {"mine": {"yaml": str(folder / "outer.yaml")}}, batch=4)
    by = {row["dataset"]: row for row in rows if row["metric"] == "accuracy"}
    expected = theirs("outer")
    assert list(by) == ["mine", "mine/inner", "mine/one", "mine/two", "mine/three", "average"]
    for name, own in zip(("outer", "inner", "one", "two", "three"), by, strict=False):
        assert by[own]["value"] == pytest.approx(expected[name]["acc,none"], abs=1e-12), name
        # where sizes differ the harness pools variances; strata of unequal variance are not pooled here
        assert by[own]["stderr"] == pytest.approx(expected[name]["acc_stderr,none"], rel=1e-9 if name != "inner" else 0.1), name
    assert len({round(row["value"], 9) for row in by.values()}) > 3, "or this test compares nothing"
    assert [by[name]["count"] for name in ("mine", "mine/inner", "average")] == [26, 17, 26]
    assert detail["mine"]["shares"] == pytest.approx({"mine/one": 1 / 3, "mine/two": 1 / 3, "mine/three": 1 / 3})
    assert detail["mine/inner"]["shares"] == pytest.approx({"mine/one": 12 / 17, "mine/two": 5 / 17})
    assert detail["mine"]["version"] == 3
    assert by["average"]["value"] == by["mine"]["value"]
    inner = sum(share**2 * by[task]["stderr"] ** 2 for task, share in detail["mine/inner"]["shares"].items())
    assert by["mine/inner"]["stderr"] ** 2 == pytest.approx(inner)


def test_a_tag_is_the_plain_mean_of_its_tasks(folder, model, tokenizer):
    define(folder, "all", {"group": "all", "task": ["tiny"]})
    tasks = {"all": {"yaml": str(folder / "all.yaml")}, "three": {"yaml": str(folder / "three.yaml")}}
    rows, _ = evaluate_tasks(model, tokenizer, tasks, batch=4)
    by = {row["dataset"]: row["value"] for row in rows if row["metric"] == "accuracy"}
    assert by["all"] == pytest.approx((by["all/one"] + by["all/two"]) / 2)
    assert by["average"] == pytest.approx((by["all"] + by["three"]) / 2)
    assert {row["dataset"] for row in rows if row["metric"] == "accuracy_norm"} == {"all", "all/one", "all/two", "three"}


def test_a_group_scores_its_tasks_by_what_it_adds_up(folder, theirs, model, tokenizer):
    define(folder, "norm", {"group": "norm", "task": ["one", "two"], "aggregate_metric_list": [{"metric": "acc_norm"}]})
    rows, detail = evaluate_tasks(model, tokenizer, {"norm": {"yaml": str(folder / "norm.yaml")}}, batch=4)
    by = {row["dataset"]: row["value"] for row in rows if row["metric"] == "accuracy"}
    expected = theirs("norm")
    assert by["norm"] == pytest.approx(expected["norm"]["acc_norm,none"])
    assert by["norm/one"] == pytest.approx(expected["one"]["acc_norm,none"])
    assert detail["norm/one"]["metric"] == detail["norm"]["metric"] == "acc_norm"


def test_what_a_group_lays_over_its_tasks_is_asked(folder, model, tokenizer, prompts):
    evaluate_tasks(model, tokenizer, {"mine": {"yaml": str(folder / "outer.yaml")}}, batch=4)
    texts = [tokenizer.decode([token for token in ids if token]) for ids in prompts]
    assert {name: {text.count(f"of {name}:") for text in texts if f"of {name}:" in text} for name in SIZES} == {
        "one": {1},
        "two": {1},
        "three": {2},
    }
    define(folder, "shots", {"group": "shots", "task": ["one"], "num_fewshot": 2})
    prompts.clear()
    evaluate_tasks(model, tokenizer, {"mine": {"yaml": str(folder / "shots.yaml")}}, batch=4)
    assert {tokenizer.decode([token for token in ids if token]).count("of one:") for ids in prompts} == {3}
