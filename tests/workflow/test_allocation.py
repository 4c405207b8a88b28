"""What allocators read beside spectra is made where a method needs it, and only there; what cannot apply is left out with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path

from drank.files import read_json
from drank.plan import Plan
from tests.workflow.runs import PROJECT, Run

LORA = {"base": "d-rank", "refit_from": None, "finetune_from": 0.1}
NEEDY = {"io-svd": {}, "asvd-search": {}, "swift-svd": {}, "d-rank-lora": LORA}


def test_gradients_searches_choices_and_fine_tuning_run_from_nothing(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(methods=NEEDY, search={"windows": 2}, finetune={"windows": 4, "epochs": 1})
    done = run.snakemake(*(f"results/models/tiny/{method}/0.3" for method in NEEDY))
    assert done.returncode == 0, done.stdout
    results = run.folder / "results"
    for method in NEEDY:
        plan = Plan.read(results / "models/tiny" / method / "0.3" / "plan.json")
        assert plan.parameters <= 0.7 * plan.dense_parameters
    assert (results / "gradients/tiny/facts.json").is_file()
    chosen = read_json(results / "selections/tiny/swift-svd/0.3.json")
    assert Plan.read(results / "plans/tiny/swift-svd/0.3.json").settings["mix"] == chosen["mix"]
    assert len(chosen["perplexity"]) == 11
    found = read_json(results / "sensitivity/tiny/absolute-mean-alpha0.5-n1.json")["perplexity"]
    assert len(found) == 3 * 7 and all(len(by_ratio) == 9 for by_ratio in found.values())
    assert run.planned(*(f"results/models/tiny/{method}/0.3" for method in NEEDY)) == {}


def test_a_run_without_gradients_plans_no_backward_pass(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    assert not {"gradients", "slopes", "sensitivity", "selection"} & run.planned().keys()
    run.change(methods={"dense": {}, "zs-svd": {}, "svd-llm": {}})
    jobs = run.planned()
    assert (jobs["gradients"], jobs["slopes"], jobs["spectrum"], jobs["calibrate"]) == (1, 1, 1, 1)


def test_a_method_that_cannot_apply_is_left_out_with_its_reason(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(methods={"dense": {}, "svd-llm": {}, "wide": {"base": "basis-sharing", "group": 4}})
    done = run.snakemake("-n")
    assert done.returncode == 0, done.stdout
    assert "tiny: wide does not apply and is left out: groups of 4 layers do not fit a model of 3" in done.stdout
    assert "results/models/tiny/svd-llm" in done.stdout and "results/models/tiny/wide" not in done.stdout
