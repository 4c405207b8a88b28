"""Which answer was chosen and which is right, against the harness's own scores; what the most frequent right answer gets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.evaluation.zeroshot import answer_tasks
from drank.evaluation.zeroshot.scoring import majority, scored
from drank.testbed.tasks import yaml_for

WINO = [{"sentence": f"Sam saw {i} so _ left.", "option1": "Sam", "option2": "Kim", "answer": str(1 + i % 2)} for i in range(6)]


@pytest.fixture
def tasks(tmp_path, arc):
    """By likelihood, by that of a letter, of several prompts, with several right answers, scored by code, and written out."""
    words = ["ok", "no such thing", "a", "or that"]
    items = [{"context": f"Number {i}:\n", "choices": words[: 2 + i % 3], "gold": i % 2} for i in range(9)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "wino.json").write_text("".join(json.dumps(row) + "\n" for row in WINO))
    plain = yaml_for("docs-summary", path)
    by_length = plain | {"metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc_norm", "acc")]}
    written = plain | {"output_type": "generate_until", "doc_to_target": "{{choices[gold]}}"}
    written |= {"generation_kwargs": {"until": ["\n"], "max_gen_toks": 3}}
    written |= {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]}
    del written["doc_to_choice"]
    several = plain | {"doc_to_target": "{{[gold, 1]}}"}
    specs = {"arc": {"harness": "arc_easy", "data": {"test": str(arc)}}, "plain": {"embedded": "docs-summary"}}
    specs["wino"] = {"harness": "winogrande", "data": {"validation": str(tmp_path / "wino.json")}}
    for name, definition in {"length": by_length, "several": several, "written": written}.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps(definition | {"task": name}))
        specs[name] = {"yaml": str(tmp_path / f"{name}.yaml")}
    return specs, {"plain": path}


def test_the_answer_chosen_is_the_one_that_was_scored(model, tokenizer, tasks):
    for parameter in model.parameters():
        parameter.data *= 6 if parameter.ndim > 1 else 1
    specs, items = tasks
    marks = answer_tasks(model, tokenizer, specs, items=items, batch=4)
    rows, detail = scored(marks)
    levels = {row["dataset"]: row["value"] for row in rows if row["metric"] == "majority"}
    assert levels == {"arc": 1.0, "plain": 5 / 9, "wino": 0.5, "length": 5 / 9, "several": 1.0}
    for name in levels:
        told = marks[name]["items"]
        assert [item[marks[name]["metrics"][0]] for item in told] == [item["chosen"] in item["right"] for item in told]
        assert detail[name]["chosen"] == [item["chosen"] for item in told]
    assert len({answer for name in levels for answer in detail[name]["chosen"]}) > 1
    assert "chosen" not in detail["written"] and "chosen" not in marks["written"]["items"][0]


@given(st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=1, max_size=30))
def test_majority_is_the_best_of_all_constant_answers(right):
    assert majority([sorted(item) for item in right]) == max(sum(answer in item for item in right) for answer in range(5)) / len(right)
