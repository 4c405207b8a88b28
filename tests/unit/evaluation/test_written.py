"""Tasks whose answers the model writes: the harness's own numbers by each of its filters, and what cannot be written or scored told."""

from __future__ import annotations

import importlib.util
import json

import lm_eval
import pytest
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import _import_func_in_yml
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation.zeroshot import check_tasks
from tests.unit.evaluation.measuring import evaluate_tasks

FIRST = {"name": "first", "filter": [{"function": "regex", "regex_pattern": "(?s)(.)"}, {"function": "take_first"}]}
LAST = {"name": "last", "filter": [{"function": "regex", "regex_pattern": "(?s)(.)", "group_select": -1}, {"function": "take_first"}]}
BASE = {
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "prompt",
    "doc_to_target": "answer",
    "generation_kwargs": {"until": ["\n", "e"], "max_gen_toks": 6, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "filter_list": [FIRST, LAST],
}


@pytest.fixture
def model(model):
    """One whose answers differ between prompts."""
    for parameter in model.parameters():
        parameter.data *= 6 if parameter.ndim > 1 else 1
    return model


@pytest.fixture
def theirs(tmp_path, model, tokenizer):
    def ask(name):
        manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
        asked = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3)
        return lm_eval.simple_evaluate(asked, tasks=[name], task_manager=manager, bootstrap_iters=2, log_samples=True)

    return ask


@pytest.fixture
def written(tmp_path):
    """Write a task, or change it."""

    def write(answers, **changes):
        items = [{"prompt": f"{i} and {i * i}:" * (1 + i % 4), "answer": answer} for i, answer in enumerate(answers)]
        (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        data = {"dataset_kwargs": {"data_files": {"test": str(tmp_path / "items.jsonl")}}}
        (tmp_path / "said.yaml").write_text(yaml.safe_dump({"task": "said", **BASE, **data, **changes}))
        return {"yaml": str(tmp_path / "said.yaml")}

    return write


@pytest.fixture
def spec(written, theirs):
    """A task of which the model answers some items as it should, by one filter or the other."""
    written(["?"] * 12)
    said = [sample["resps"][0][0] or "?" for sample in theirs("said")["samples"]["said"] if sample["filter"] == "first"]
    return written([text[0] if number % 3 == 0 else text[-1] if number % 3 == 1 else "no" for number, text in enumerate(said)])


@pytest.mark.parametrize("name", ["first", "last"])
def test_answers_are_those_of_the_harness_by_either_filter(spec, theirs, model, tokenizer, name):
    expected = theirs("said")
    tasks = {"said": {**spec, **({"filter": name} if name != "first" else {})}}
    rows, detail = evaluate_tasks(model, tokenizer, tasks, batch=5)
    by = {row["dataset"]: row for row in rows}
    samples = {sample["doc_id"]: sample["exact_match"] for sample in expected["samples"]["said"] if sample["filter"] == name}
    assert detail["said"]["correct"] == [samples[number] for number in range(12)]
    assert by["said"]["value"] == pytest.approx(expected["results"]["said"][f"exact_match,{name}"])
    assert by["said"]["stderr"] == pytest.approx(expected["results"]["said"][f"exact_match_stderr,{name}"])
    assert 0 < by["said"]["value"] < 1, "or this test compares nothing"
    assert (detail["said"]["filter"], detail["said"]["metric"], by["said"]["chance"]) == (name, "exact_match", 0)


def test_a_group_adds_up_by_the_filter_it_names(spec, theirs, model, tokenizer, tmp_path):
    listed = [{"metric": "exact_match", "filter_list": ["last"], "weight_by_size": True}]
    (tmp_path / "both.yaml").write_text(yaml.safe_dump({"group": "both", "task": ["said"], "aggregate_metric_list": listed}))
    rows, detail = evaluate_tasks(model, tokenizer, {"both": {"yaml": str(tmp_path / "both.yaml")}})
    assert detail["both/said"]["filter"] == "last"
    assert rows[0]["value"] == pytest.approx(theirs("both")["groups"]["both"]["exact_match,last"])


def test_prompts_that_leave_no_room_for_the_answer_are_cut_and_counted(written, theirs, model, tokenizer, caplog):
    """The context is 256 tokens, a byte each, of which the answer may take 244: what is left is 12."""
    spec = written(["a"] * 12, generation_kwargs={"until": ["\n"], "max_gen_toks": 244})
    _, detail = evaluate_tasks(model, tokenizer, {"said": spec}, batch=3)
    lengths = [len(f"{i} and {i * i}:" * (1 + i % 4)) for i in range(12)]
    assert detail["said"]["cut"] == sum(length > 12 for length in lengths) > 0
    assert f"said: {detail['said']['cut']} prompts do not fit the model's context and lost their beginning" in caplog.text
    expected = {sample["doc_id"]: sample["exact_match"] for sample in theirs("said")["samples"]["said"] if sample["filter"] == "first"}
    assert detail["said"]["correct"] == [expected[number] for number in range(12)]


def test_an_answer_as_long_as_the_context_is_told(written, model, tokenizer):
    spec = written(["a"] * 4, generation_kwargs={"until": ["\n"], "max_gen_toks": 256})
    with pytest.raises(ValueError, match=r"said has the model write up to 256 tokens, and its context of 256 has no room .*max_gen_toks"):
        evaluate_tasks(model, tokenizer, {"said": spec})


def test_the_tasks_of_the_harness_are_asked_of_local_files(tokenizer, tmp_path):
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1024, **shape)).eval()
    for split, size in (("train", 8), ("test", 3)):
        rows = [{"question": f"How many are {i}?", "answer": f"As many.\n#### {i}"} for i in range(size)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    for name in ("strict-match", "flexible-extract"):
        _, detail = evaluate_tasks(model, tokenizer, {"gsm8k": {"harness": "gsm8k", "data": data, "filter": name}}, batch=3)
        assert (detail["gsm8k"]["filter"], len(detail["gsm8k"]["correct"]), detail["gsm8k"]["cut"]) == (name, 3, 0)


def test_what_drank_cannot_score_is_told_before_anything_runs(written, tmp_path):
    (tmp_path / "beside.py").write_text("here = 1\n")
    lines = "import beside\nimport json\nfrom another_of_these import one\nfrom lm_eval.tasks.ifeval import utils\n"
    (tmp_path / "utils.py").write_text(f"{lines}\n\ndef docs(all_):\n    import a_third\n")
    told = {
        "sampled": ({"generation_kwargs": {"do_sample": True}}, {}, "draws its answers (do_sample, temperature)"),
        "warm": ({"generation_kwargs": {"temperature": 0.7}}, {}, "draws its answers (do_sample, temperature)"),
        "filtered": ({}, {"filter": "lats"}, "filter 'lats' is none of those in"),
        "rolling": (
            {"output_type": "loglikelihood_rolling", "metric_list": [{"metric": "word_perplexity"}]},
            {},
            "under perplexity.corpora",
        ),
        "fitted": (
            {"metric_list": [{"metric": "exact_match", "aggregation": "nanmean"}, {"metric": "bleu", "aggregation": "bleu"}]},
            {},
            "adds up exact_match by nanmean, and drank takes the mean over items",
        ),
        "bleu": ({"metric_list": [{"metric": "bleu"}]}, {}, "is scored by bleu; drank evaluates acc"),
        "code": ({"class": "here.Task"}, {}, "is a class in Python"),
    }
    for name, (changes, more, problem) in told.items():
        found = check_tasks({name: {**written(["a"] * 2, **changes), **more}})
        assert len(found) == 1 and found[0].startswith(f"task {name}: ") and problem in found[0], name
    spec = written(["a"] * 2)
    (tmp_path / "said.yaml").write_text((tmp_path / "said.yaml").read_text() + "process_docs: !function utils.docs\n")
    (problem,) = check_tasks({"packages": spec})
    lacking = [name for name in ("immutabledict", "langdetect", "nltk") if importlib.util.find_spec(name) is None]
    found = problem.partition("utils.py needs ")[2].partition(", which Python does not find")[0]
    assert sorted(found.split(", ")) == sorted(["another_of_these", "beside", *lacking])
    with pytest.raises(ModuleNotFoundError, match="beside"):
        _import_func_in_yml("utils.docs", tmp_path)
    (tmp_path / "utils.py").write_text("def docs(:\n")
    (problem,) = check_tasks({"broken": spec})
    assert "utils.py cannot be read as Python" in problem and "(utils.py, line 1)" in problem
    (problem,) = check_tasks({"short": {"embedded": "docs-summary", "filter": "first"}})
    assert "go through no filter" in problem
    assert check_tasks({"cold": written(["a"] * 2, generation_kwargs={"temperature": 0.7, "do_sample": False})}) == []
