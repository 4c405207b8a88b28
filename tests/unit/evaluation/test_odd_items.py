"""Tasks whose items or definition are odd: refused in words, where the harness would count them as wrong answers or end in a traceback."""

from __future__ import annotations

import json

import pytest

from drank.evaluation.zeroshot import check_tasks
from tests.unit.evaluation.measuring import evaluate_tasks

ITEM = {"context": "the rank of ", "choices": ["a matrix", "a model"], "gold": 1}
BASE = {"task": "own", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice"}
FIELDS = {"doc_to_text": "context", "doc_to_choice": "choices", "doc_to_target": "gold", "metric_list": [{"metric": "acc"}]}


def written(folder, items, **changes) -> dict:
    """The task of these items, as a configuration names it."""
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    files = {"dataset_kwargs": {"data_files": {"test": str(folder / "items.jsonl")}}}
    (folder / "own.yaml").write_text(json.dumps(BASE | FIELDS | files | changes))
    return {"own": {"yaml": str(folder / "own.yaml")}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gold": -1}, "item 1: its right answer is -1, which is none of its 2 choices"),
        ({"gold": 2}, "item 1: its right answer is 2, which"),
        ({"gold": None}, "item 1: its right answer is None, which"),
        ({"context": None}, "item 1: its prompt is None, which is no text"),
        ({"choices": None}, "item 1: its choices are None, which is no list of texts"),
    ],
)
def test_an_item_without_a_right_answer_is_no_wrong_answer(tmp_path, model, tokenizer, changes, told):
    with pytest.raises(ValueError, match=f"task own, {told}"):
        evaluate_tasks(model, tokenizer, written(tmp_path, [ITEM, ITEM | changes, ITEM]))


def test_letters_of_a_text_are_no_choices(tmp_path, model, tokenizer):
    with pytest.raises(ValueError, match="item 0: its choices are 'ab', which is no list of texts"):
        evaluate_tasks(model, tokenizer, written(tmp_path, [ITEM | {"choices": "ab"}] * 3))


def test_more_examples_than_items_are_told(tmp_path, model, tokenizer):
    with pytest.raises(ValueError, match=r"task own: its definition does not fit its items \(ValueError: Sample larger"):
        evaluate_tasks(model, tokenizer, written(tmp_path, [ITEM] * 3, num_fewshot=9))


@pytest.mark.parametrize(
    "changes",
    [
        {"include": 3},
        {"metric_list": ["acc"]},
        {"metric_list": "acc"},
        {"filter_list": ["first"]},
        {"generation_kwargs": ["until"]},
        {"dataset_kwargs": "x"},
        {"dataset_kwargs": {"data_files": 3}},
        {"dataset_kwargs": {"data_files": {"test": None}}},
    ],
)
def test_a_definition_of_another_form_is_told_at_the_check(tmp_path, changes):
    (line,) = check_tasks(written(tmp_path, [ITEM], **changes))
    assert f"own.yaml: {next(iter(changes))} must be " in line
