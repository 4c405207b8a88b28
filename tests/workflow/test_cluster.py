"""What jobs ask a cluster for, as an `sbatch` that refuses them sees it, and what the run says then."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow.runs import PROJECT, Run, environment

SBATCH = """#!/bin/sh
echo "$@" | sed 's/ --wrap=.*//' | head -n 1 >> sbatch.txt
echo "sbatch: error: no such partition" >&2
exit 1
"""
SITE = "default-resources:\n  - slurm_partition=long\n  - slurm_extra='--nice'\n"


@pytest.fixture
def fresh(inputs: Path, tmp_path: Path) -> Run:
    """A run that has nothing yet, in a folder with the profile of a site."""
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    (run.folder / "my-cluster").mkdir()
    (run.folder / "my-cluster/config.yaml").write_text(SITE)
    return run


@pytest.fixture
def done(finished: Run, tmp_path: Path) -> Run:
    """A copy of a run that has everything."""
    shutil.copytree(finished.folder, tmp_path / "run")
    return Run(tmp_path / "run", finished.project)


def submit(run: Run, *arguments: str) -> tuple[list[str], str]:
    """The options of every job that a run hands to `sbatch`, which refuses it, and what the run says."""
    tools = run.folder / "tools"
    tools.mkdir()
    for tool, program in {"sbatch": SBATCH, **dict.fromkeys(("sinfo", "sacct", "scontrol"), "#!/bin/sh\n")}.items():
        (tools / tool).write_text(program)
        (tools / tool).chmod(0o755)
    variables = environment()
    ended = subprocess.run(
        [*run.command(*arguments), "--workflow-profile", "slurm"],
        cwd=run.folder,
        env={**variables, "PATH": f"{tools}:{variables['PATH']}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=300,
    )
    calls = run.folder / "sbatch.txt"
    assert ended.returncode != 0 and calls.exists(), ended.stdout
    return calls.read_text().splitlines(), ended.stdout


def test_a_refused_group_says_why_and_asks_for_more_the_second_time(fresh: Run) -> None:
    """With what the profile of the site gives every job."""
    calls, said = submit(fresh, "results/corpora/words.parquet", "--profile", "./my-cluster")
    assert len(calls) == 2, said
    for call, asked in zip(calls, ("-t 10 --mem 8000", "-t 20 --mem 16000"), strict=True):
        assert asked in call and "-p long" in call and "--nice" in call and "--cpus-per-task=1" in call and "gpus" not in call
    assert said.count("corpus words: failed (not submitted): sbatch refused it: no such partition;") == 2, said
    assert "Error in" not in said and "Traceback" not in said


def test_steps_of_a_group_ask_for_the_room_of_one_and_the_time_of_all(done: Run) -> None:
    for made in ("sources", "tokens"):
        shutil.rmtree(done.folder / "results" / made)
    texts = [f"results/tokens/tiny/words.{split}.safetensors" for split in ("train", "test")]
    (call,), _ = submit(done, *texts, "--retries", "0")
    assert "-t 30 --mem 8000" in call and "--cpus-per-task=1" in call, "source and two texts to tokenise, one after the other"


def test_a_profile_sends_what_needs_no_gpu_to_another_partition(done: Run) -> None:
    """As docs/cluster.md writes it, step by step; all steps of a group."""
    steps = ("source", "tokenize")
    asked = "".join(f"  - {step}:slurm_partition=cpu\n" for step in (*steps, "no_such_step"))
    (done.folder / "my-cluster").mkdir()
    (done.folder / "my-cluster/config.yaml").write_text(f"{SITE}set-resources:\n{asked}")
    for made in ("sources", "tokens"):
        shutil.rmtree(done.folder / "results" / made)
    text = "results/tokens/tiny/words.train.safetensors"
    (call,), _ = submit(done, text, "--retries", "0", "--profile", "./my-cluster")
    assert "-p cpu" in call and "-p long" not in call and "--nice" in call and "gpus" not in call


def test_a_profile_asks_for_a_kind_of_gpu_for_a_step_that_runs_a_model(done: Run) -> None:
    done.change(compute={"gpus": 1})
    (done.folder / "my-cluster").mkdir()
    (done.folder / "my-cluster/config.yaml").write_text(f"{SITE}set-resources:\n  - throughput:gpu_model=a100\n")
    shutil.rmtree(done.folder / "results/throughput/tiny/0")
    (call,), said = submit(done, "results/throughput/tiny/0", "--retries", "0", "--profile", "./my-cluster")
    assert "--gpus=a100:1" in call and "-p long" in call, said


def test_a_timing_has_a_node_of_its_own_and_the_threads_of_every_model_job(done: Run) -> None:
    """Where all cores of the run were asked for, a job read them from its node, and was refused more than it had been granted."""
    shutil.rmtree(done.folder / "results/throughput/tiny/0")
    (call,), said = submit(done, "results/throughput/tiny/0", "--retries", "0", "--set-resources", "throughput:runtime=7")
    assert "--exclusive" in call and "--cpus-per-task=1" in call and "-t 7 --mem 8000" in call
    assert re.search(r"^throughput +1 +1 +8 GB +7$", said, re.MULTILINE), said


def test_a_timing_is_given_what_a_site_asks_for_every_job_where_it_is_said_with_its_node(done: Run) -> None:
    """As docs/cluster.md has it: `slurm_extra` of the rule stands in the place of the site's, a quality of service does not."""
    shutil.rmtree(done.folder / "results/throughput/tiny/0")
    (done.folder / "site").mkdir()
    (done.folder / "site/config.yaml").write_text(f"{SITE}  - qos=long\n")
    asked = ("--profile", "./site", "--set-resources", "throughput:slurm_extra='--exclusive --nice'")
    (call,), _ = submit(done, "results/throughput/tiny/0", "--retries", "0", *asked)
    assert "--exclusive --nice" in call and "--qos=long" in call


def test_how_many_cores_a_run_has_makes_no_timing_anew(finished: Run) -> None:
    assert finished.planned("--cores", "1") == finished.planned("--cores", "3") == {}
    file = finished.folder / "config.yaml"
    before = file.read_text()
    finished.change(compute={"threads": 2})
    try:
        assert "throughput" in finished.planned()
    finally:
        file.write_text(before)


def test_a_plan_for_a_cluster_shows_memory_gpus_and_minutes(fresh: Run) -> None:
    fresh.change(compute={"threads": 3, "gpus": 1, "memory_mb": 9500, "minutes": 77})
    said = fresh.snakemake("-n", "--executor", "slurm", "--jobs", "3", "--cores", "8").stdout
    for rule in ("calibrate", "evaluate", "throughput", "compress"):
        assert len(re.findall(rf"^{rule} +\d +3 +9.5 GB +1 +77$", said, re.MULTILINE)) == 2, said
    assert re.search(r"^tokenize +2 +1 +8 GB +10$", said, re.MULTILINE) and re.search(r"^report +1$", said, re.MULTILINE), said


def test_a_gpu_that_no_job_asks_the_cluster_for_is_refused_before_any_waits_for_one(fresh: Run) -> None:
    fresh.change(compute={"device": "cuda"})
    refused = fresh.snakemake("-n", "--executor", "slurm", "--jobs", "3")
    assert refused.returncode != 0 and "compute.gpus asks the cluster for none; set gpus: 1" in refused.stdout
    assert fresh.snakemake("-n").returncode == 0


def test_jobs_that_ask_for_a_gpu_take_turns_whatever_else_a_run_limits(fresh: Run) -> None:
    """A limit in the default profile was lost with the first `--resources`, and held on a cluster too."""
    fresh.change(compute={"gpus": 1})
    here = fresh.snakemake("results/sources/tiny.json", "--resources", "mem_mb=64000").stdout
    log = next((fresh.folder / ".snakemake/log").glob("*.log")).read_text()
    assert re.search(r"Provided resources: .*gpu=\D*1\b", log), here
