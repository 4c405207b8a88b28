"""Artefacts that would be empty at the end of a run are refused before it, with what they lack."""

import pytest

from drank.config import check, with_defaults
from tests.unit.config.test_artefacts import BASE
from tests.unit.configurations import SCHEMA, problems

TASKS = {"tasks": {"sections": {"embedded": "docs-section"}}, "zeroshot": {"tasks": ["sections"]}}
PIVOT = {"layout": "pivot", "rows": "method", "columns": "ratio"}
OTHERWISE = {"methods": {"svd-llm": {}, "d-rank": {"calibration": {"corpus": "code"}}, "svd": {}}}


def with_runs(artefact, *methods, **changes):
    return {**BASE, **changes, "artefacts": {"mine": {**artefact, "runs": {"model": "docs-mha", "method": [*methods], "ratio": 0.2}}}}


def checked(config):
    check(with_defaults(config, SCHEMA))


@pytest.mark.parametrize("metric", ["flips", "answers_changed"])
def test_what_compares_with_the_dense_model_has_it_among_its_runs(metric):
    pivot = {**PIVOT, "metric": metric}
    said = f"artefacts.mine: metric: {metric} compares with dense, and of docs-mha it has not both dense and another method; add them"
    for methods in (["svd", "d-rank"], ["dense"]):
        assert any(line.startswith(said) for line in problems(with_runs(pivot, *methods, **TASKS)))
    checked(with_runs(pivot, "dense", "d-rank", **TASKS))


def test_continuations_that_nobody_writes_do_not_repeat():
    pivot = {**PIVOT, "metric": "repeated_4grams", "on": "docs"}
    silent = {"perplexity": {**BASE["perplexity"], "continuations": {"prompts": 0}}}
    (said,) = problems(with_runs(pivot, "d-rank", **silent))
    assert said.startswith("artefacts.mine: metric: repeated_4grams is of continuations, and perplexity.continuations.prompts is 0; set it")
    checked(with_runs(pivot, "d-rank"))


def test_svd_llm_on_another_text_is_beside_no_method_whatever_its_label():
    (said,) = problems(with_runs({"layout": "paired"}, "svd-llm", "d-rank", **OTHERWISE))
    assert said == "artefacts.mine: it compares with dense and svd-llm, and of docs-mha no run has either beside it, calibrated as it is"
    checked(with_runs({"layout": "paired"}, "svd-llm", "svd", **OTHERWISE))
    checked(with_runs({"layout": "paired"}, "svd-llm", "d-rank"))
