"""Shares of the items answered apart are the answers that one job gives."""

from __future__ import annotations

import json

import pytest

from drank.evaluation.zeroshot import answer_tasks
from drank.evaluation.zeroshot.marks import joined
from drank.evaluation.zeroshot.scoring import scored
from drank.runtime.shares import Share
from drank.testbed.tasks import yaml_for


@pytest.fixture
def tasks(tmp_path, arc):
    """A task whose prompts hold two other items, drawn as the harness goes, one with prompts past the context, and one that generates."""
    words = [{"context": f"Number {i}:\n" * (1 + 40 * (i % 3)), "choices": ["ok", "no" * (i + 1), "a"], "gold": i % 3} for i in range(7)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in words))
    generated = yaml_for("docs-summary", path) | {
        "task": "said",
        "output_type": "generate_until",
        "doc_to_target": "{{choices[gold]}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 3},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    del generated["doc_to_choice"]
    (tmp_path / "said.yaml").write_text(json.dumps(generated))
    few = {"harness": "arc_easy", "data": {"test": str(arc)}, "fewshot": 2}
    return {"few": few, "long": {"embedded": "docs-summary"}, "said": {"yaml": str(tmp_path / "said.yaml")}}, {"long": path}


@pytest.mark.parametrize("count", [2, 4, 9])
def test_shares_answer_what_one_job_answers(model, tokenizer, tasks, count):
    specs, items = tasks
    whole = answer_tasks(model, tokenizer, specs, items=items, batch=3)
    parts = [answer_tasks(model, tokenizer, specs, items=items, batch=3, share=Share(number, count)) for number in range(1, count + 1)]
    assert [len(part["long"]["items"]) for part in parts] == [len(range(number, 7, count)) for number in range(count)]
    together = {name: joined([json.loads(json.dumps(part[name])) for part in parts]) for name in specs}
    assert scored(together) == scored(whole)
    assert together["long"]["cut"] == whole["long"]["cut"] == 4, "the prompts of four items are cut, each with three answers"


def test_a_share_reads_its_own_items_alone(model, tokenizer, tasks, prompts):
    specs, items = tasks
    texts = []
    for share in (Share(1, 1), Share(1, 2), Share(2, 2)):
        prompts.clear()
        answer_tasks(model, tokenizer, {"few": specs["few"]}, items=items, batch=1, share=share)
        texts.append({tokenizer.decode(ids) for ids in prompts})
    whole, *halves = texts
    assert halves[0] | halves[1] == whole and not halves[0] & halves[1], "with the same examples before each question"
