"""Artefacts of which a layout could make nothing of its runs, after hours, are refused before them, with what is missing."""

import pytest

from drank.config import check, with_defaults
from tests.unit.config.test_artefacts import BASE
from tests.unit.configurations import SCHEMA, problems

TIMED = {**BASE, "throughput": {"prompt": 16, "generate": 4}}
WITHOUT_DENSE = {**TIMED, "methods": {label: options for label, options in BASE["methods"].items() if label != "dense"}}
SPEED = {"layout": "pivot", "metric": "speedup_over_dense", "rows": "method", "columns": ["ratio", "dataset"]}
CHOICE = {"layout": "choice", "validation": "docs.validation"}
STABILITY = {"layout": "stability", "on": "docs"}
CHAIN = {"layout": "steps", "chain": {"svd": "start", "svd-llm": "whitening"}}
PIVOT = {"layout": "pivot", "rows": "method", "columns": "ratio", "on": "docs"}


def of(method, **more):
    return {"model": "docs-mha", "method": method, **more}


REFUSED = {
    "speed without dense": (
        WITHOUT_DENSE,
        SPEED,
        of("svd"),
        "metric: speedup_over_dense compares with dense, which is none of methods; add",
    ),
    "speed of dense alone": (TIMED, SPEED, of("dense"), "compares with dense, and of docs-mha it has nothing else; add another method"),
    "a figure of speed without dense": (
        *(WITHOUT_DENSE, {"layout": "throughput_by_ratio"}, of("svd")),
        "layout throughput_by_ratio compares with dense, which is none of methods; add `dense: {}` to methods",
    ),
    "bytes without dense": (
        *(TIMED, {"layout": "speedup_by_bytes"}, of(["svd", "d-rank"])),
        "layout speedup_by_bytes draws smaller models beside dense, and of docs-mha it has not both; add them to its `runs`",
    ),
    "a frontier without dense": (TIMED, {"layout": "frontier"}, of("svd"), "layout frontier draws smaller models beside dense, and of"),
    "a frontier of dense": (TIMED, {"layout": "frontier"}, of("dense"), "layout frontier draws smaller models beside dense, and of"),
    "a table on another kind": (
        TIMED,
        {"layout": "quality", "on": "decode"},
        of("svd"),
        "it shows perplexity or zeroshot, and `on` names none of that",
    ),
    "a choice without a grid": (BASE, CHOICE, of("d-rank"), "it compares values of beta, and no method of it has two of them at one ratio"),
    "a choice of one": (BASE, CHOICE, of("d-rank", beta=0.1), "it compares values of beta, and no method of it has two of them"),
    "a choice of ratios": (BASE, {**CHOICE, "axis": "ratio"}, of("d-rank"), "it compares values of ratio, and no method of it has two"),
    "validated on what is reported": (
        *(BASE, {**CHOICE, "validation": "docs"}, of("d-rank", beta=[0, 0.1])),
        "validation: docs is among the texts that are reported (docs); name another, such as CORPUS.validation",
    ),
    "one calibration": (BASE, STABILITY, of("svd-llm"), "it compares calibrations, and no method of it has two at one ratio; name several"),
    "a reference that is no run": (
        *(BASE, {**STABILITY, "reference": {"windows": 512}}, of("svd-llm", windows=[4, 8])),
        "option reference asks for windows 512, but the runs are svd-llm+windows=4, svd-llm; name one of them",
    ),
    "a link that is no run": (
        BASE,
        CHAIN,
        of("svd-llm"),
        "chain: svd is no run of it, and of docs-mha these are: svd-llm; add it to `runs`",
    ),
    "a link at another ratio": (
        *(BASE, CHAIN, [of("svd", ratio=0.2), of("svd-llm")]),
        "chain: svd has no run of docs-mha at ratio 0.4, as svd-llm has; add it to `runs`",
    ),
    "a link of several runs": (
        *(BASE, {**CHAIN, "chain": {"svd": "start", "d-rank": "ranks"}}, [of("svd"), of("d-rank", group=[1, 3])]),
        "chain: d-rank names several runs of docs-mha, d-rank+group=1, d-rank+group=3; name one of them",
    ),
    "one link": (BASE, {**CHAIN, "chain": {"svd": "start"}}, of("svd"), "chain"),
    "two ratios in one place": (
        *(BASE, {**PIVOT, "columns": "dataset"}, of("svd")),
        "2 numbers claim one place: docs-mha svd at 0.2 on docs; docs-mha svd at 0.4 on docs. Add what tells them apart to rows, columns",
    ),
    "two texts in one place": (
        *(BASE, {**PIVOT, "on": ["docs", "other"]}, of("svd")),
        "2 numbers claim one place: docs-mha svd at 0.2 on docs; docs-mha svd at 0.2 on other. Add",
    ),
    "two ratios in one mean over draws": (
        *(BASE, {**PIVOT, "columns": "dataset", "over": "draw"}, of("svd-llm", draw=[13, 42])),
        "docs-mha svd-llm at 0.4 on docs; docs-mha svd-llm+draw=42 at 0.2 on docs and 1 more. Add what tells them apart to rows",
    ),
    "dense in the columns of others": (
        *(BASE, {**PIVOT, "rows": "model", "columns": "beta"}, [of("dense"), of("d-rank", beta=[0, 0.1], ratio=0.2)]),
        "2 numbers claim one place: docs-mha dense at 0 on docs; docs-mha d-rank+beta=0 at 0.2 on docs",
    ),
}


@pytest.mark.parametrize(("config", "artefact", "runs", "said"), REFUSED.values(), ids=REFUSED)
def test_what_its_runs_cannot_fill_is_told_with_what_is_missing(config, artefact, runs, said):
    found = problems({**config, "artefacts": {"mine": {**artefact, "runs": runs}}})
    assert any(said in line for line in found), found
    assert all(line.startswith("artefacts.mine") for line in found), found


def test_all_of_them_are_told_at_once():
    asked = {
        name.replace(" ", "_"): {**artefact, "runs": runs}
        for name, (config, artefact, runs, _) in REFUSED.items()
        if config is not WITHOUT_DENSE
    }
    del asked["one_link"]  # which the schema refuses, before it is known what runs there are
    found = problems({**TIMED, "artefacts": asked})
    assert {line.partition(":")[0].removeprefix("artefacts.") for line in found} == asked.keys()


GOOD = {
    "speed over a dense model that is no run": (TIMED, SPEED, of("svd")),
    "a figure of it": (TIMED, {"layout": "throughput_by_ratio"}, of("svd")),
    "speed of a rounded model": ({**WITHOUT_DENSE, "methods": {**WITHOUT_DENSE["methods"], "rounded-8": {}}}, SPEED, of("rounded-8")),
    "bytes": (TIMED, {"layout": "speedup_by_bytes"}, of(["dense", "svd"])),
    "a frontier": (TIMED, {"layout": "frontier"}, of(["dense", "svd"])),
    "a time that only one phase has": (TIMED, {**PIVOT, "metric": "time_to_first_token", "on": ["prefill", "decode"]}, of("svd")),
    "a choice": (BASE, CHOICE, of("d-rank", beta=[0, 0.1])),
    "calibrations": (BASE, {**STABILITY, "reference": {"windows": 4}}, [of("svd-llm", windows=[4, 8]), of("svd-llm", draw=42)]),
    "a chain from dense over draws": (
        *(BASE, {**CHAIN, "chain": {"dense": "start", "svd": "ranks", "svd-llm": "whitening"}}),
        [of(["dense", "svd"]), of("svd-llm", draw=[42, 512])],
    ),
    "a mean over draws": (BASE, {**PIVOT, "over": "draw"}, of(["svd-llm", "d-rank"], draw=[13, 42])),
    "a run that several points are": (BASE, {**PIVOT, "rows": ["method", "beta"]}, [of("d-rank", beta=[0, 0.1]), of("mine"), of("dense")]),
    "dense without a divergence": (BASE, {**PIVOT, "metric": "kl_to_dense", "rows": "model"}, of(["dense", "svd"], ratio=0.2)),
}


@pytest.mark.parametrize(("config", "artefact", "runs"), GOOD.values(), ids=GOOD)
def test_what_can_be_filled_is_not_refused(config, artefact, runs):
    check(with_defaults({**config, "artefacts": {"mine": {**artefact, "runs": runs}}}, SCHEMA))
