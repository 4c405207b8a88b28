"""Somebody else's checkpoint in a run: measured beside the dense model, and again when its weights change."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from drank.runtime.files import read_json
from tests.workflow.runs import PRINTED, PROJECT, Run

pytestmark = pytest.mark.heavy

REPORTING = {"cards", "summary", *PRINTED, "report"} - {"effective_rank", "ranks"}  # which quote no record


def prune(model: Path, folder: Path) -> None:
    """A copy without the smallest half of each matrix of its blocks, and without a tokenizer."""
    folder.mkdir()
    tensors = load_file(model / "model.safetensors")
    for name, tensor in tensors.items():
        if "_proj" in name:
            tensor[tensor.abs() < tensor.abs().median()] = 0
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(model / "config.json", folder)


@pytest.fixture(scope="module")
def run(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the dense model, SVD-LLM, and a pruned copy as somebody else's checkpoint."""
    run = Run(tmp_path_factory.mktemp("theirs") / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    prune(run.folder / "model", run.folder / "theirs")
    run.change(methods={"dense": {}, "svd-llm": {}, "theirs": {"checkpoint": {"path": "theirs"}}})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    return run


def summary_of(run: Run) -> pd.DataFrame:
    return pd.read_csv(run.folder / "results/summary.csv", keep_default_na=False, na_values=dict.fromkeys(["value", "ratio_stored"], ""))


def mean_loss(folder: Path, ids: torch.Tensor) -> float:
    """Nats per token over windows, by transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return float(model(ids, labels=ids).loss)


def test_it_is_measured_like_the_others_and_paired_with_the_dense_model(run: Run) -> None:
    summary = summary_of(run)
    rows = summary[summary["method"] == "theirs"]
    assert set(rows["ratio"]) == {0.0} and set(rows["checkpoint"]) == {"theirs"}
    assert {"perplexity", "accuracy", "tokens_per_second", "accuracy_minus_dense", "speedup_over_dense"} <= set(rows["metric"])
    ids = AutoTokenizer.from_pretrained(run.folder / "model")((run.folder / "test.txt").read_text())["input_ids"]
    windows = torch.tensor(ids[: 8 * 32]).view(8, 32)
    dense, theirs = (mean_loss(run.folder / name, windows) for name in ("model", "theirs"))
    values = rows[rows["dataset"] == "words"].set_index("metric")["value"]
    assert theirs != pytest.approx(dense, abs=1e-3)
    assert values["log_perplexity_gap_to_dense"] == pytest.approx(theirs - dense, rel=1e-4)
    assert values["perplexity_minus_dense"] == pytest.approx(math.exp(theirs) - math.exp(dense), rel=1e-4)


def test_its_size_is_that_of_its_files_and_its_record_says_which_they_were(run: Run) -> None:
    rows = summary_of(run).drop_duplicates("method").set_index("method")
    tensors = load_file(run.folder / "theirs/model.safetensors").values()
    assert rows.loc["theirs", "parameters"] == sum(tensor.numel() for tensor in tensors) == rows.loc["dense", "parameters"]
    assert rows.loc["theirs", "bytes"] == sum(tensor.nbytes for tensor in tensors)
    assert rows.loc["theirs", "ratio_model"] == 0 and math.isnan(rows.loc["theirs", "ratio_stored"]), "zeros are stored too"
    for place in ("perplexity/tiny/theirs/0", "zeroshot/tiny/theirs/0", "throughput/tiny/0/theirs"):
        told = read_json(run.folder / f"results/{place}.json")["provenance"]
        assert told["checkpoint"] == read_json(run.folder / "results/sources/tiny/theirs.json")
        assert told["method"]["checkpoint"] == {"path": "theirs"}
    assert "checkpoint" not in read_json(run.folder / "results/perplexity/tiny/dense/0.json")["provenance"]


def test_it_wins_and_loses_nothing(run: Run) -> None:
    results = run.folder / "results"
    (told,) = (line for line in (results / "verdict.txt").read_text().splitlines() if "theirs" in line)
    assert told.startswith("What none of these methods made, and so competes in none of this, could be used instead: theirs loses ")
    assert "somebody else" in (results / "report.html").read_text()
    for table in ("main", "paired", "timings"):
        assert (results / f"tables/{table}.csv").read_text().count("theirs") == 1


def test_nothing_runs_again_until_its_weights_change_and_then_its_measurements_alone(run: Run) -> None:
    """The other weights are a model that drank made, which must measure as it does under its own name."""
    assert run.planned() == {}
    folder = run.folder / "theirs"
    shutil.rmtree(folder)
    shutil.copytree(run.folder / "results/models/tiny/svd-llm/0.3", folder, copy_function=shutil.copyfile)
    assert run.planned() == {"checkpoint": 1, "evaluate": 1, "throughput": 1, **dict.fromkeys(REPORTING, 1)}
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert run.planned() == {}
    summary = summary_of(run)
    found = summary[~summary["metric"].str.contains("second|speedup|noise|memory|svd-llm|time_|roofline|other_load|crowded")]
    ours, theirs = (found[found["method"] == name].set_index(["dataset", "metric"]) for name in ("svd-llm", "theirs"))
    assert (ours["value"] - theirs["value"]).abs().max() == 0 and len(ours) == len(theirs)
    for column in ("parameters", "bytes", "ratio_stored"):
        assert (ours[column] == theirs[column]).all(), column
    assert (ours["ratio_model"] - theirs["ratio_model"]).abs().max() < 1e-12


def test_it_may_move_to_a_folder_of_another_name(run: Run) -> None:
    before = run.config
    (run.folder / "theirs").rename(run.folder / "pruned")
    try:
        run.change(methods={**before["methods"], "theirs": {"checkpoint": {"path": "pruned"}}})
        assert run.planned() == {}
    finally:
        (run.folder / "pruned").rename(run.folder / "theirs")
        run.change(**before)
