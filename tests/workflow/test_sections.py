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
    ("without", "kinds"),
    [
        (("perplexity",), {"zeroshot", "throughput"}),
        (("throughput",), {"perplexity", "zeroshot"}),
        (("perplexity", "zeroshot"), {"throughput"}),
        (MEASURES, set()),
    ],
)
def test_what_is_left_out_is_not_measured(inputs: Path, tmp_path: Path, without: tuple[str, ...], kinds: set[str]) -> None:
    planned = run_in(inputs, tmp_path / "run", without).snakemake("-n")
    assert planned.returncode == 0, planned.stdout
    assert set(re.findall(rf"results/({'|'.join(MEASURES)})/", planned.stdout)) == kinds
    assert ("results/report.html" in planned.stdout) == bool(kinds)
    assert "results/models/tiny/d-rank/0.3" in planned.stdout


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


@pytest.mark.heavy
def test_what_reads_no_calibration_text_needs_none(inputs: Path, tmp_path: Path) -> None:
    methods = {"dense": {}, "full-rank": {"weighting": "identity"}, "svd": {}}
    run = run_in(inputs, tmp_path / "run", ("calibration", "zeroshot", "tasks"), methods=methods)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert not (run.folder / "results/moments").exists()
    summary = pd.read_csv(run.folder / "results/summary.csv")
    assert set(summary["method"]) == {"dense", "full-rank", "svd"} and summary["calibration"].isna().all()


@pytest.mark.heavy
def test_the_dense_model_alone_needs_neither_ratios_nor_calibration(inputs: Path, tmp_path: Path) -> None:
    run = run_in(inputs, tmp_path / "run", ("calibration", "ratios", "throughput"), methods={"dense": {}})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert (run.folder / "results/report.html").stat().st_size > 5000
    assert not (run.folder / "results/figures").exists(), "there is nothing to draw"
    said = done.stdout.splitlines()
    assert f"report: {run.folder}/results/report.html" in said and "No two compressing methods" in done.stdout
    assert any(re.fullmatch(r"\d+ steps, 2 at once: about 1 min", line) for line in said)
    assert any(re.fullmatch(r"evaluate tiny dense 0: done in .* s; \d+ of \d+ steps, about .* to go", line) for line in said)
    assert not re.search(r"^(Job \d+:|Finished jobid|Select jobs|Execute|\d+ of \d+ steps \()", done.stdout, re.M)
    two = ("results/corpora/words.parquet", "results/sources/tiny.json", "--force")
    again = run.snakemake(*two)
    assert again.returncode == 0 and "report:" not in again.stdout, "the verdict is that of an older run"
    assert "2 steps, 2 at once" in again.stdout
    assert "2 steps, 1 at once" in run.snakemake(*two, "--resources", "mem_mb=9000").stdout, "each job that runs a model may take 8000"


def test_what_is_left_out_and_read_is_named_with_who_reads_it(inputs: Path, tmp_path: Path) -> None:
    done = run_in(inputs, tmp_path / "run", ("calibration", "ratios")).snakemake("-n")
    assert done.returncode != 0
    assert "ratios: empty, and svd-llm, d-rank compress to a ratio" in done.stdout
    assert "calibration: left out, and svd-llm, d-rank read it" in done.stdout
    assert "`calibration: {corpus: words}`" in done.stdout


def test_the_example_of_the_pipeline_page_runs_as_the_page_runs_it(inputs: Path, tmp_path: Path) -> None:
    text = (PROJECT / "docs/pipeline.md").read_text("utf-8")
    (example,) = (block for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if "models:" in block)
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


@pytest.mark.heavy
def test_a_text_that_only_a_search_or_fine_tuning_reads_stands_there(inputs: Path, tmp_path: Path) -> None:
    text = {"corpus": "words", "split": "train", "windows": 4, "length": 32, "batch": 4}
    methods = {"lora": {"base": "svd", "finetune_from": 0.1}, "searched": {"base": "svd", "allocator": "sensitivity", "scope": "model"}}
    run = run_in(inputs, tmp_path / "run", ("calibration", *MEASURES), methods=methods)
    refused = run.snakemake("-n")
    assert "search: searched read it, and without a calibration it must say corpus, split, length, batch itself" in refused.stdout
    assert "finetune: lora read it, and without a calibration it must say corpus, split, windows, length, seed, batch" in refused.stdout
    run.change(search=text, finetune={**text, "seed": 3, "epochs": 1}, perplexity={"corpora": ["words"], "length": 32, "windows": 4})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    summary = pd.read_csv(run.folder / "results/summary.csv")
    read = summary.groupby("method")["calibration"].unique()
    assert read["lora"].tolist() == ["fine-tuning words.train, 4 × 32 tokens"]
    assert read["searched"].tolist() == ["search words.train, 4 × 32 tokens"]
    assert set(summary[summary["method"] == "lora"]["follows"]) == {"LoRA"}


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
