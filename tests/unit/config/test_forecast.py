"""The forecast grows with what grows the work, and knows every rule that works on a model."""

import math
import re
from pathlib import Path

import pytest
import yaml

from drank.config import read_schema, shards_of, with_defaults
from drank.config.disk import written
from drank.config.forecast import CORE_SPEED, LIGHT, PART, START, WORK, Sizes, forecast, wall
from drank.models.sources import SourceError

ROOT = Path(__file__).parents[3]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")


def config(**changes):
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    return with_defaults(given | changes, SCHEMA)


def seconds(rule, method="", given=None):
    names = {"model": "docs-mha", **({"method": method} if method else {})}
    return forecast(given or config(), [(1, rule, names)])[1]


def test_sizes_are_those_of_the_model():
    sizes = Sizes.of({"embedded": "docs-mha"})
    assert 4.1e6 < sizes.parameters < 4.2e6
    assert sum(count for *_, count in sizes.projections) == 8 * 7
    assert sizes.forward(10) == 10 * sizes.parameters


def test_every_rule_that_loads_a_model_is_known():
    rules = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for block in re.split(r"^(?=\s*(?:use )?rule |def |[A-Z])", path.read_text(), flags=re.MULTILINE):
            if found := re.match(r"\s*(?:use rule \w+ as|rule) (\w+)(?: with)?:", block):
                rules[found[1]] = any(asked in block for asked in ('config["compute"]["threads"]', "ALL_CORES", "threads_of"))
    heavy = {rule for rule, many in rules.items() if many}
    alike = {"evaluate_texts", "evaluate_tasks"}  # which inherit what they ask for
    assert heavy | alike == WORK.keys() | {f"{rule}{PART}" for rule in shards_of(config())}


@pytest.mark.parametrize("rule", ["calibrate", "gradients", "evaluate"])
def test_a_divided_step_is_shared_by_its_jobs_and_added_up_by_a_light_one(rule):
    whole, divided = seconds(rule), config(compute={"shards": 4})
    assert seconds(rule + PART, given=divided) - START == pytest.approx((whole - START) / 4)
    assert seconds(rule, given=divided) == LIGHT
    assert seconds("spectrum", given=divided) == seconds("spectrum")


@pytest.mark.parametrize("rule", WORK)
def test_more_work_takes_longer_and_none_is_free(rule):
    method = "l-rank" if rule in ("compress", "relinearise") else ""
    large = config(
        calibration={"corpus": "python-docs", "windows": 512, "length": 256},
        search={"windows": 32},
        perplexity={"corpora": ["python-docs"], "overfitting": 32},
        throughput={"batch": 64},
    )
    steps = {"methods": {"l-rank": {"steps": 3}}} if rule == "relinearise" else {}
    few, many = (seconds(rule, method, given | steps) for given in (config(), large))
    assert START < few < math.inf
    assert many > few or rule in ("spectrum", "slopes", "round")


def test_a_second_head_costs_what_a_head_does():
    alone, beside = (config(perplexity={"corpora": ["python-docs"], "windows": 64, "length": 256, "to_dense": to}) for to in (False, True))
    head = 64 * 256 * 192 * 3072
    more = seconds("evaluate", "svd-llm", beside) - seconds("evaluate", "svd-llm", alone)
    assert more == pytest.approx(head / CORE_SPEED / alone["compute"]["threads"])
    assert seconds("evaluate", "dense", beside) == seconds("evaluate", "dense", alone)


def test_engines_of_vllm_are_loaded_and_compiled_one_by_one():
    timed = config()["throughput"]
    more = seconds("throughput", given=config(throughput={**timed, "engine": "vllm"})) - seconds("throughput")
    assert more > 40 * 2, "of a model and of the dense one at least"


def test_continuations_cost_by_their_tokens():
    def took(**asked):
        text = {"corpora": ["python-docs"], "windows": 64, "length": 256, "to_dense": False}
        return seconds("evaluate", "svd-llm", config(perplexity=text | {"continuations": asked}))

    assert took(prompts=0) < took(tokens=32) < took(tokens=64) < 1.5 * took(prompts=0)
    assert took(tokens=64) - took(prompts=0) == pytest.approx(2 * (took(tokens=32) - took(prompts=0)))


def test_answers_that_are_written_cost_by_their_tokens_and_groups_by_their_tasks():
    def took(*asked, **options):
        tasks = {name: {"harness": name} for name in asked}
        return seconds("evaluate", "svd-llm", config(tasks=tasks, zeroshot={"tasks": [*asked], "limit": 64, **options}))

    assert took("gsm8k") - took() > 4 * (took("arc_easy") - took()), "256 tokens after each prompt, of which each moves all weights"
    assert took("gsm8k", batch=64) < took("gsm8k", batch=16)
    assert took("mmlu") - took() == pytest.approx(57 * (took("arc_easy") - took())), "a limit is one of each task of a group"


def test_what_follows_the_ranks_costs_and_light_rules_do_not():
    assert seconds("compress", "svd-llm") == START < seconds("compress", "d-rank") < seconds("compress", "l-rank")
    assert seconds("tables") == LIGHT < forecast(config(), [(1, "train", {"name": "docs-mha"})])[1]


def test_corrections_take_a_pass_of_the_dense_model_where_no_refit_has_made_it():
    methods = {
        "refitted": {"base": "l-rank", "corrections": 0},
        "corrected": {"base": "l-rank", "corrections": 1},
        "alone": {"base": "l-rank", "refit_from": None, "corrections": 1},
        "cut": {"base": "l-rank", "refit_from": None, "corrections": 0},
    }
    took = {name: seconds("compress", name, config(methods=methods, artefacts={})) for name in methods}
    assert (took["alone"] - took["cut"]) / (took["corrected"] - took["refitted"]) == pytest.approx(5 / 4)


def test_what_a_job_reads_is_what_it_costs():
    by = {labels: forecast(config(), [(1, "gradients", {"model": "docs-mha", "labels": labels})])[1] for labels in ("text", "sampled")}
    assert by["text"] > by["sampled"], "sampled labels are drawn for half of the windows"
    late = [forecast(config(), [(1, "compress", {"model": "docs-mha", "method": "d-rank", "ratio": ratio})])[1] for ratio in ("0.2", "0.4")]
    assert late[0] == START < late[1]


def test_a_model_that_is_not_here_has_no_size(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    given = config(models={"far": {"hub": "org/far"}, "docs-mha": {"embedded": "docs-mha"}})
    near, far = ((number, "calibrate", {"model": model}) for number, model in enumerate(("docs-mha", "far")))
    with pytest.raises(SourceError, match="prefetch"):
        forecast(given, [near, far])
    assert forecast(given, [near])[0] > START, "a run of one model tells its time though others are not fetched"
    assert written(given, [near], {"docs-mha": {}})[0] > 0, "and what it writes"


def test_jobs_share_the_cores_but_for_those_that_run_alone():
    expected = {1: 10.0, 2: 20.0, 3: 30.0}
    assert wall(expected, [], 1) == 60.0
    assert wall(expected, [], 2) == 30.0
    assert wall(expected, [3], 2) == 45.0
    assert wall(expected, [3], 0) == 60.0
