"""Items about one text are one unit of a task's standard error, whatever names the text."""

from __future__ import annotations

import json
import math
import statistics

import pytest
import yaml

from drank.testbed.tasks import yaml_for
from tests.unit.evaluation.measuring import evaluate_tasks


def items(count):
    """Questions of which an untrained model gets some right, about documents, passages and texts of a field of its own."""
    choices = [["a long wrong answer indeed", "ok", "another long answer, wrong"], ["yes", "a long wrong answer, again"]]
    about = [{"source": f"d{place // 3}", "passage": f"p{place % 6}", "mine": place // 2} for place in range(count)]
    return [
        {"context": f"Number {place}:\n", "choices": choices[place % 2], "gold": place // 2 % 2, **about[place]} for place in range(count)
    ]


def test_items_on_one_passage_are_one_unit_of_the_standard_error(model, tokenizer, tmp_path):
    """By the document of an embedded task, by the fields that the harness's tasks have, and by the one that a definition names."""
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in items(12)))
    definition = yaml_for("docs-summary", path)
    for name, metadata in {"known": {"version": 1}, "mine": {"version": 1, "passage": "mine"}, "none": {"passage": "x"}}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(definition | {"task": name, "metadata": metadata}))
    tasks = {name: {"yaml": str(tmp_path / f"{name}.yaml")} for name in ("known", "mine", "none")}
    found, detail = evaluate_tasks(model, tokenizer, tasks | {"short": {"embedded": "docs-summary"}}, items={"short": path})
    expected = {
        "known": [place % 6 for place in range(12)],
        "mine": [place // 2 for place in range(12)],
        "short": [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3,
    }
    assert {name: told["passages"] for name, told in detail.items() if "passages" in told} == expected
    for name, passages in expected.items():
        means = [
            statistics.fmean(c for c, p in zip(detail[name]["correct"], passages, strict=True) if p == one) for one in sorted(set(passages))
        ]
        row = next(row for row in found if (row["dataset"], row["metric"]) == (name, "accuracy"))
        assert row["stderr"] == pytest.approx(statistics.stdev(means) / math.sqrt(len(means)))
    with pytest.raises(ValueError, match="task short: a standard error needs two passages or more, and all 3 items share one; raise limit"):
        evaluate_tasks(model, tokenizer, {"short": {"embedded": "docs-summary"}}, items={"short": path}, limit=3)
