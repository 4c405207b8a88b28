"""A configuration may leave out what nothing reads, and lie elsewhere than the run that it describes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.runs import PROJECT, Run

MEASURES = ("perplexity", "zeroshot", "throughput")


def run_in(inputs: Path, folder: Path, without: tuple[str, ...] = (), **changes: object) -> Run:
    """A run whose configuration lacks some sections."""
    run = Run(folder, PROJECT)
    shutil.copytree(inputs, folder)
    config = {key: value for key, value in (run.config | changes).items() if key not in without}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return run


@pytest.mark.parametrize(
    ("without", "rules"),
    [
        (("perplexity",), {"evaluate", "throughput", "tables", "figures", "report"}),
        (("throughput",), {"evaluate", "tables", "figures", "report"}),
        (("perplexity", "zeroshot"), {"throughput", "tables", "figures", "report"}),
        (MEASURES, {"compress"}),
    ],
)
def test_what_is_left_out_is_not_measured(inputs: Path, tmp_path: Path, without: tuple[str, ...], rules: set[str]) -> None:
    jobs = run_in(inputs, tmp_path / "run", without).planned()
    assert rules <= jobs.keys()
    measuring = {"evaluate", "throughput", "summary", "tables", "figures", "report"}
    assert not (measuring - rules - {"summary"}) & jobs.keys()


def test_empty_lists_and_empty_sections_are_as_good_as_none(inputs: Path, tmp_path: Path) -> None:
    empty = {"perplexity": {"corpora": []}, "zeroshot": {"tasks": []}, "throughput": None}
    one = run_in(inputs, tmp_path / "one", **empty).planned()
    assert one == run_in(inputs, tmp_path / "two", MEASURES).planned()


def test_a_run_for_its_models_alone_makes_them(inputs: Path, tmp_path: Path) -> None:
    run = run_in(inputs, tmp_path / "run", (*MEASURES, "tasks"), methods={"svd-llm": {}})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert (run.folder / "results/models/tiny/svd-llm/0.3/making.json").is_file()
    assert run.planned() == {}


def test_what_reads_no_calibration_text_needs_none(inputs: Path, tmp_path: Path) -> None:
    methods = {"dense": {}, "full-rank": {"weighting": "identity"}, "svd": {}}
    run = run_in(inputs, tmp_path / "run", ("calibration", "zeroshot", "tasks"), methods=methods)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert not (run.folder / "results/moments").exists()
    summary = pd.read_csv(run.folder / "results/summary.csv")
    assert set(summary["method"]) == {"dense", "full-rank", "svd"} and summary["calibration"].isna().all()


def test_the_dense_model_alone_needs_neither_ratios_nor_calibration(inputs: Path, tmp_path: Path) -> None:
    run = run_in(inputs, tmp_path / "run", ("calibration", "ratios", "throughput"), methods={"dense": {}})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert (run.folder / "results/report.html").stat().st_size > 5000
    assert not (run.folder / "results/figures").exists(), "there is nothing to draw"


def test_what_is_left_out_and_read_is_named_with_who_reads_it(inputs: Path, tmp_path: Path) -> None:
    done = run_in(inputs, tmp_path / "run", ("calibration", "ratios")).snakemake("-n")
    assert done.returncode != 0
    assert "ratios: empty, and svd-llm, d-rank compress to a ratio" in done.stdout
    assert "calibration: left out, and svd-llm, d-rank read it" in done.stdout
    assert "`calibration: {corpus: words}`" in done.stdout


def test_the_example_of_the_readme_runs_as_the_readme_runs_it(inputs: Path, tmp_path: Path) -> None:
    text = (PROJECT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (command,) = re.findall(r"^snakemake (--cores all --configfile mine\.yaml --directory my-run)", text, re.M)
    (tmp_path / "mine.yaml").write_text(
        example.replace("/models/my-llama", str(inputs / "model"))
        .replace("2048", "32")
        .replace("throughput: {}", "throughput: {prompt: 8}")
    )
    for name in ("wiki.train.txt", "wiki.test.txt", "arc_easy.parquet"):
        (tmp_path / name).write_text("some text")
    done = Run(tmp_path, PROJECT).snakemake("-n", *command.split())
    assert done.returncode == 0, done.stdout
    for rule in ("calibrate", "spectrum", "compress", "evaluate", "throughput", "report"):
        assert re.search(rf"^{rule} +\d+$", done.stdout, re.M), rule


def test_a_configuration_elsewhere_is_read_from_its_own_folder(inputs: Path, tmp_path: Path) -> None:
    own = run_in(inputs, tmp_path / "project")
    (tmp_path / "elsewhere").mkdir()
    run = Run(tmp_path / "elsewhere", PROJECT)
    arguments = ("--configfile", str(own.folder / "config.yaml"), "--directory", str(tmp_path / "my-run"))
    done = run.snakemake("results/tokens/tiny/words.test.safetensors", *arguments)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "my-run/results/tokens/tiny/words.test.safetensors").is_file()
    assert list(run.folder.iterdir()) == []


def test_paths_of_the_command_line_start_at_the_folder_of_the_run(inputs: Path, tmp_path: Path) -> None:
    own = run_in(inputs, tmp_path / "project")
    (own.folder / "train.txt").unlink()
    work = tmp_path / "my-run"
    work.mkdir()
    shutil.copy(inputs / "train.txt", work / "here.txt")
    arguments = ("--configfile", str(own.folder / "config.yaml"), "--directory", str(work))
    wrong = own.snakemake("-n", *arguments)
    assert wrong.returncode != 0 and f"{own.folder}/train.txt does not exist" in wrong.stdout
    done = own.snakemake("-n", *arguments, "--config", "corpora={words: {files: {train: here.txt}}}")
    assert done.returncode == 0, done.stdout
