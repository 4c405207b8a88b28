"""What allocators read beside spectra is made where a method needs it, and only there; what cannot apply is left out with its reason."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from drank.allocation.plan import Plan
from drank.runtime.files import read_json
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
    assert (results / "gradients/tiny/text/facts.json").is_file()
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


def test_gradients_are_taken_once_for_each_kind_of_labels_that_is_read(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    borrowed = {"base": "l-rank", "weighting": "whitening"}  # shares the spectrum of zs-svd, whose slopes are the text's
    run.change(methods={"borrowed": borrowed, "zs-svd": {}, "io-svd": {}, "gfwsvd": {}, "l-rank": {}, "l-rank-scalar": {}})
    output = run.snakemake("-n", *(f"results/plans/tiny/{method}/0.3.json" for method in run.config["methods"])).stdout
    reads = dict(re.findall(r"Missing output files: (results/[^\s;]+); Input files updated by another job: (.+)", output))
    assert {path for path in reads if "/gradients/" in path} == {
        f"results/gradients/tiny/{labels}" for labels in ("sampled", "text", "likeliest", "windows")
    }
    assert "results/gradients/tiny/text" in reads["results/slopes/tiny/whitening-n1.safetensors"]
    assert "results/gradients/tiny/likeliest" in reads["results/spectra/tiny/likeliest-fisher-damping0.01-n1"]
    assert "results/gradients/tiny/text" in reads["results/slopes/tiny/likeliest-fisher-damping0.01-n1.safetensors"]
    assert "results/gradients/tiny/windows" in reads["results/spectra/tiny/fitted-fisher-n1"]
    assert "results/gradients/tiny/sampled" in reads["results/spectra/tiny/kronecker-fisher-damping0.1-sampled-n1"]
    assert "results/gradients/tiny/sampled" in reads["results/spectra/tiny/scalar-fisher-sampled-n1"]
    assert "gradients" not in reads["results/spectra/tiny/whitening-n1"]


def test_a_search_reads_the_text_of_the_method_that_searches(inputs: Path, tmp_path: Path) -> None:
    """Another that reads the same spectrum, and a text of its own to refit, stands before it."""
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    corpora = {**run.config["corpora"], "other": {"files": {"train": "test.txt"}}}
    refitted = {"base": "svd", "refit_from": 0.2, "calibration": {"corpus": "other"}}
    run.change(methods={"refitted": refitted, "searched": {"base": "svd", "allocator": "sensitivity"}}, corpora=corpora, perplexity=None)
    output = run.snakemake("-n", "results/plans/tiny/searched/0.3.json").stdout
    reads = dict(re.findall(r"Missing output files: (results/[^\s;]+); Input files updated by another job: (.+)", output))
    read = reads["results/sensitivity/tiny/identity-n1.json"]
    assert "results/tokens/tiny/words.train.safetensors" in read and "other" not in read


def test_steps_compensation_and_corrections_run_from_nothing(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    whole = {"base": "l-rank", "steps": 2, "corrections": 1}
    run.change(methods={"whole": whole}, calibration={**run.config["calibration"], "curvature_windows": 3})
    target = "results/models/tiny/whole/0.3"
    done = run.snakemake(target)
    assert done.returncode == 0, done.stdout
    steps = read_json(run.folder / "results/steps/tiny/whole/0.3/summary.json")
    assert (steps["steps"], steps["labels"], steps["calibration"]["windows"]) == (2, "sampled", 8)
    assert "curvature_windows" not in steps["calibration"], "moments do not hang on it"
    plan = Plan.read(run.folder / target / "plan.json")
    assert plan.parameters <= 0.7 * plan.dense_parameters and plan.settings["steps"] == 2 and plan.calibration == steps["calibration"]
    assert run.planned(target) == {}
    assert read_json(run.folder / "results/gradients/tiny/sampled/facts.json")["gradient_windows"] == 3

    def after(calibration: dict[str, int] | None = None, **changes: object) -> dict[str, int]:
        """The jobs that a change of the method, or of the calibration, makes necessary."""
        before = run.config
        run.change(methods={"whole": {**whole, **changes}}, calibration={**before["calibration"], **(calibration or {})})
        try:
            return run.planned(target)
        finally:
            run.change(**before)

    assert after(compensation=0.7) == after(corrections=2) == after(refit_from=None) == {"allocate": 1, "compress": 1}, "no step anew"
    assert after(steps=3) == {"relinearise": 1, "allocate": 1, "compress": 1}
    assert after(steps=1) == {"allocate": 1, "compress": 1}, "the spectra of the first step are there"
    assert after({"curvature_windows": 8}) == {"gradients": 1, "spectrum": 1, "relinearise": 1, "allocate": 1, "compress": 1}


def test_what_a_job_does_not_read_makes_it_no_work(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    plain = {"base": "l-rank-scalar"}
    run.change(methods={"plain": plain, "d-rank": {"refit_from": 0.2}})
    targets = ("results/models/tiny/plain/0.3", "results/models/tiny/d-rank/0.3")
    done = run.snakemake(*targets)
    assert done.returncode == 0, done.stdout
    run.change(methods={"plain": {**plain, "refit_from": 0.5, "refit": "compensated"}, "d-rank": {"refit_from": 0.2}})
    assert run.planned(*targets) == {}, "at this ratio nothing is refitted"
    run.change(calibration={**run.config["calibration"], "curvature_windows": 3})
    assert run.planned(targets[1]) == {}, "neither moments nor the refit tell curvatures"


def test_a_method_that_cannot_apply_is_left_out_with_its_reason(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(methods={"dense": {}, "svd-llm": {}, "wide": {"base": "basis-sharing", "group": 4}})
    done = run.snakemake("-n")
    assert done.returncode == 0, done.stdout
    assert "tiny: wide does not apply and is left out: groups of 4 layers do not fit a model of 3" in done.stdout
    assert "results/models/tiny/svd-llm" in done.stdout and "results/models/tiny/wide" not in done.stdout
