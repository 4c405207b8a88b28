"""Zero-shot evaluation: any kind of task in one run, local data, honest errors, numbers that follow from the items."""

from __future__ import annotations

import json
import logging
import math

import datasets
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.models.huggingface import HFLM

from drank.evaluation.zeroshot.language_model import LanguageModel
from drank.evaluation.zeroshot.pairs import pieces
from drank.statistics.proportions import wilson
from drank.testbed.tasks import yaml_for
from tests.unit.evaluation.measuring import evaluate_tasks


def items(count):
    """Questions whose right answer is the short one: what `acc` of any untrained model prefers."""
    choices = [["a long wrong answer indeed", "ok", "another long answer, wrong"], ["yes", "a long wrong answer, again"]]
    return [{"context": f"Number {i}:\n", "choices": choices[i % 2], "gold": 1 - i % 2, "source": f"d{i}"} for i in range(count)]


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items(10)))
    return path


@pytest.fixture
def winogrande(tmp_path):
    rows = [{"sentence": f"Sam saw {i} so _ left.", "option1": "Sam", "option2": "Kim", "answer": str(1 + i % 2)} for i in range(6)]
    path = tmp_path / "winogrande.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def own_yaml(tmp_path, jsonl):
    """A user's definition on top of another that it includes."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(yaml_for("docs-summary", jsonl) | {"task": "base"}))
    metrics = [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc_norm", "acc")]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"include": "base.yaml", "task": "other-name", "metric_list": metrics, "metadata": {"version": 7}}))
    return path


def test_all_kinds_of_tasks_in_one_run(model, tokenizer, jsonl, arc, winogrande, own_yaml, caplog):
    tasks = {
        "short": {"embedded": "docs-summary"},
        "arc": {"harness": "arc_easy", "data": {"test": str(arc)}},
        "wino": {"harness": "winogrande", "data": {"test": str(winogrande)}},
        "own": {"yaml": str(own_yaml)},
    }
    with caplog.at_level(logging.INFO):
        rows, detail = evaluate_tasks(model, tokenizer, tasks, items={"short": jsonl}, batch=4)
    by = {(row["dataset"], row["metric"]): row for row in rows}
    assert list(by) == [
        *((task, metric) for task in ("short", "arc") for metric in ("accuracy", "accuracy_norm", "majority")),
        *(("wino", metric) for metric in ("accuracy", "majority")),
        *(("own", metric) for metric in ("accuracy", "accuracy_norm", "majority")),
        ("average", "accuracy"),
    ]
    assert by["short", "accuracy"]["value"] == 1.0
    assert by["arc", "accuracy"]["value"] == 0.0
    assert by["short", "accuracy"]["chance"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert by["arc", "accuracy"]["chance"] == pytest.approx(1 / 3)
    assert by["wino", "accuracy"]["chance"] == 0.5
    assert [by[task, "accuracy"]["count"] for task in tasks] == [10, 6, 6, 10]
    assert {task: detail[task]["metric"] for task in tasks} == {"short": "acc", "arc": "acc", "wino": "acc", "own": "acc_norm"}
    assert by["own", "accuracy"]["value"] == by["own", "accuracy_norm"]["value"] == by["short", "accuracy_norm"]["value"]
    assert {task: detail[task]["version"] for task in tasks} == {"short": 1, "arc": 1.0, "wino": 1.0, "own": 7}
    for task in tasks:
        correct, row = detail[task]["correct"], by[task, "accuracy"]
        assert set(correct) <= {0, 1}
        assert row["value"] == pytest.approx(sum(correct) / len(correct))
        assert row["stderr"] == pytest.approx(math.sqrt(row["value"] * (1 - row["value"]) / (len(correct) - 1)))
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson(row["value"], len(correct)))
    mean = by["average", "accuracy"]
    assert mean["value"] == pytest.approx(sum(by[task, "accuracy"]["value"] for task in tasks) / 4)
    assert mean["stderr"] == pytest.approx(math.sqrt(sum(by[task, "accuracy"]["stderr"] ** 2 for task in tasks)) / 4)
    assert mean["count"] == 32
    json.dumps([rows, detail], allow_nan=False)
    lines = [record.getMessage() for record in caplog.records if record.name == "drank.evaluation.zeroshot"]
    assert [line.split(":")[0] for line in lines] == list(tasks)
    assert not [r for r in caplog.records if r.name.startswith(("lm_eval", "datasets")) and r.levelno < logging.WARNING]


def test_same_numbers_twice_and_for_any_batch(model, tokenizer, jsonl, winogrande):
    tasks = {"short": {"embedded": "docs-summary"}, "wino": {"harness": "winogrande", "data": {"validation": str(winogrande)}}}
    first, second = (evaluate_tasks(model, tokenizer, tasks, items={"short": jsonl}, batch=batch) for batch in (8, 8))
    assert first == second
    assert evaluate_tasks(model, tokenizer, dict(reversed(tasks.items())), items={"short": jsonl}, batch=3)[1] == first[1]


def test_limit_takes_the_first_items(model, tokenizer, jsonl):
    tasks = {"short": {"embedded": "docs-summary"}}
    full, part = (evaluate_tasks(model, tokenizer, tasks, items={"short": jsonl}, limit=limit)[1] for limit in (None, 4))
    assert part["short"]["correct"] == full["short"]["correct"][:4]
    with pytest.raises(ValueError, match="task short: a standard error needs two items or more, and there is 1; raise limit"):
        evaluate_tasks(model, tokenizer, tasks, items={"short": jsonl}, limit=1)


def test_prompts_hold_the_shots_that_were_asked_for(model, tokenizer, winogrande, prompts):
    for shots in (None, 2):
        prompts.clear()
        asked = {} if shots is None else {"fewshot": shots}
        tasks = {"wino": {"harness": "winogrande", "data": {"validation": str(winogrande)}, **asked}}
        evaluate_tasks(model, tokenizer, tasks, limit=2)
        texts = [tokenizer.decode([token for token in ids if token]) for ids in prompts]
        assert texts
        assert {text.count("saw") for text in texts} == {1 + (shots or 0)}


def test_local_data_leaves_the_users_cache_and_the_log_levels_alone(model, tokenizer, arc, own_yaml, jsonl, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "scratch").mkdir()
    before = logging.getLogger("lm_eval").level
    tasks = {"arc": {"harness": "arc_easy", "data": {"test": str(arc)}}, "own": {"yaml": str(own_yaml)}, "e": {"embedded": "docs-summary"}}
    evaluate_tasks(model, tokenizer, tasks, items={"e": jsonl}, limit=2)
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert logging.getLogger("lm_eval").level == before


def test_a_data_set_that_cannot_be_had_names_task_and_remedy(model, tokenizer, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("the hub is switched off")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(OSError, match=r"task a: its data cannot be had here \(the hub is switched off\); fetch it"):
        evaluate_tasks(model, tokenizer, {"a": {"harness": "arc_easy"}})


def test_a_broken_model_fails_instead_of_scoring(model, tokenizer, jsonl):
    with torch.no_grad():
        model.lm_head.weight[5] = math.nan
    with pytest.raises(ValueError, match="task short: 25 of 25 log-likelihoods are not finite"):
        evaluate_tasks(model, tokenizer, {"short": {"embedded": "docs-summary"}}, items={"short": jsonl})


def test_an_answer_longer_than_the_context_is_scored_in_pieces(model, tokenizer, tmp_path, caplog):
    long = "word and " * 40  # 360 tokens, where the context is 256
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({"context": "Say:\n", "choices": [long, "ok"], "gold": gold}) + "\n" for gold in (0, 1)))
    _, detail = evaluate_tasks(model, tokenizer, {"long": {"embedded": "docs-section"}}, items={"long": path})
    assert detail["long"]["correct"] == [0, 1]
    assert detail["long"]["cut"] == 2
    assert "long: 2 prompts do not fit the model's context and lost their beginning" in caplog.text


def test_a_cut_prompt_keeps_as_many_tokens_as_in_the_harness(model, tokenizer):
    """An error by one would lose the first of them."""
    for parameter in model.parameters():
        parameter.data *= 6 if parameter.ndim > 1 else 1
    asker = LanguageModel(model, tokenizer, 4)
    drawn = torch.randint(1, 200, (400,), generator=torch.Generator().manual_seed(0)).tolist()
    sizes = [(250, 6), (250, 7), (250, 8), (255, 1), (256, 1), (257, 1), (300, 20), (10, 256), (1, 256)]
    pairs = [((str(size), ""), drawn[: size[0]], drawn[-size[1] :]) for size in sizes]
    own, theirs = asker._loglikelihood_tokens(pairs), HFLM._loglikelihood_tokens(asker, pairs, disable_tqdm=True)
    assert sum(asker.too_long(prompt, answer) for _, prompt, answer in pairs) == 4
    for (mine, greedy), (score, likeliest) in zip(own, theirs, strict=True):
        assert mine == pytest.approx(score, rel=0, abs=2e-4) and greedy == likeliest
    shorter = asker._loglikelihood_tokens([(key, prompt[-249:], answer) for key, prompt, answer in pairs[:1]])
    assert abs(shorter[0][0] - own[0][0]) > 2e-3, "or this test compares nothing"


@given(length=st.integers(1, 60), context=st.integers(2, 20))
def test_pieces_make_up_the_answer(length, context):
    answer = list(range(length))
    found = pieces(answer, context)
    assert [token for _, piece in found for token in piece] == answer
    assert all(0 < len(piece) <= context and answer[: len(head)] == head for head, piece in found)
    assert (len(found) == 1) == (length <= context)
