"""A run whose steps are divided: the numbers of one that is not, killed and gone on with, and nothing made again for another division."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drank.reporting.report.method_table import seconds_of
from drank.runtime.files import read_json
from tests.workflow.runs import PROJECT, Run, environment

pytestmark = pytest.mark.heavy

METHODS = {"dense": {}, "svd-llm": {}, "l-rank-scalar": {}}
TARGETS = [f"results/{kind}/tiny/{place}.json" for kind in ("perplexity", "zeroshot") for place in ("dense/0", "svd-llm/0.3")]
TARGETS += ["results/plans/tiny/l-rank-scalar/0.3.json"]


def run_with(inputs: Path, folder: Path, shards: int) -> Run:
    run = Run(folder, PROJECT)
    shutil.copytree(inputs, folder)
    run.change(methods=METHODS, compute={"shards": shards}, calibration={**run.config["calibration"], "batch": 2})
    return run


@pytest.fixture(scope="module")
def whole(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose steps are one job each."""
    run = run_with(inputs, tmp_path_factory.mktemp("whole") / "run", 1)
    done = run.snakemake(*TARGETS)
    assert done.returncode == 0, done.stdout
    return run


@pytest.fixture(scope="module")
def divided(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in four shares that was killed on its way: Snakemake alone, so that its jobs must notice by themselves."""
    run = run_with(inputs, tmp_path_factory.mktemp("divided") / "run", 4)
    assert run.planned(*TARGETS) == {
        "source": 1,
        "corpus": 1,
        "tokenize": 2,
        "overlap": 1,
        "spectrum": 2,
        "allocate": 2,
        "compress": 1,
        "calibrate": 1,
        "calibrate_part": 4,
        "gradients": 1,
        "gradients_part": 2,
        "evaluate": 2,
        "evaluate_part": 8,
    }, "two batches of windows are read for sampled labels"
    process = subprocess.Popen(
        run.command(*TARGETS),
        cwd=run.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,
    )
    for _ in range(1200):
        if list((run.folder / "results/parts").rglob("1-of-4")) or process.poll() is not None:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = run.snakemake(*TARGETS)
    assert done.returncode == 0, done.stdout
    return run


def test_four_shares_have_the_numbers_of_one_job(whole: Run, divided: Run) -> None:
    one, four = whole.folder / "results", divided.folder / "results"
    statistics = [*sorted(one.glob("moments/**/*.safetensors")), *sorted(one.glob("gradients/**/*.safetensors"))]
    assert len(statistics) == 2 * 3
    for path in statistics:
        expected, found = load_file(path), load_file(four / path.relative_to(one))
        for name, values in expected.items():
            rounded = torch.finfo(torch.float32).eps if values.dtype == torch.float32 else 0.0
            torch.testing.assert_close(found[name], values, rtol=rounded, atol=1e-12 * values.abs().max().item())
    assert read_json(one / "moments/tiny/facts.json") == read_json(four / "moments/tiny/facts.json")
    assert read_json(one / "plans/tiny/l-rank-scalar/0.3.json") == read_json(four / "plans/tiny/l-rank-scalar/0.3.json")
    for kind in ("perplexity", "zeroshot"):
        dense = f"{kind}/tiny/dense/0.json"
        found, expected = read_json(four / dense), read_json(one / dense)
        assert (found["results"], found["detail"], found["size"]) == (expected["results"], expected["detail"], expected["size"])
    loss = {run: read_json(run / "perplexity/tiny/svd-llm/0.3.json")["detail"]["words"]["window_loss"] for run in (one, four)}
    assert loss[four] == pytest.approx(loss[one], rel=1e-5), "the model is made of moments that differ in their last bits"


def test_no_part_is_left_and_nothing_to_do(divided: Run) -> None:
    assert [path for path in (divided.folder / "results/parts").rglob("*") if path.is_file()] == []
    assert divided.planned(*TARGETS) == {}


def test_another_number_of_shards_makes_nothing_again(whole: Run, divided: Run) -> None:
    for run, others in ((whole, (4,)), (divided, (1, 3))):
        own = run.config["compute"]
        for shards in others:
            run.change(compute={"shards": shards})
            assert run.planned(*TARGETS) == {}, f"from {own['shards']} to {shards}"
        run.change(compute=own)


def test_what_a_divided_step_reads_makes_it_again(divided: Run) -> None:
    calibration = divided.config["calibration"]
    divided.change(calibration={**calibration, "seed": 7})
    jobs = divided.planned("results/moments/tiny")
    divided.change(calibration=calibration)
    assert jobs == {"calibrate": 1, "calibrate_part": 4}


def test_the_time_of_a_divided_step_is_that_of_all_its_jobs(divided: Run) -> None:
    folder = divided.folder / "results/benchmarks/calibrate"
    jobs = [float(path.read_text().splitlines()[-1].split("\t")[0]) for path in (folder / "tiny").glob("*.tsv")]
    assert len(jobs) == 5 and seconds_of(folder / "tiny.tsv") == pytest.approx(sum(jobs))


def test_a_calibration_with_fewer_batches_than_shares_is_made_whole(whole: Run, tmp_path: Path) -> None:
    run = run_with(whole.folder, tmp_path / "run", 2)
    shutil.rmtree(run.folder / "results")
    shutil.rmtree(run.folder / ".snakemake")
    runs = {"model": "tiny", "method": "svd-llm", "ratio": 0.3, "windows": [2, 8]}
    run.change(artefacts={"windows": {"layout": "pivot", "runs": runs, "rows": ["windows"], "columns": ["ratio"], "on": "words"}})
    run.change(calibration={**run.config["calibration"], "windows": 8, "batch": 2})
    planned = run.planned("windows")
    assert (planned["calibrate"], planned["calibrate_part"]) == (2, 2), "two windows are one batch, which one job reads"
