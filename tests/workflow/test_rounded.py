"""The dense model rounded in a run: made by it, measured beside it, counted by its bytes, and in no contest."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from drank.runtime.files import read_json
from tests.workflow.runs import PROJECT, Run

pytestmark = pytest.mark.heavy

BLOCK = 8
ROUNDED = {f"rounded-{bits}": {"checkpoint": {"bits": bits, "block": BLOCK}} for bits in (8, 4)}


@pytest.fixture(scope="module")
def run(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the dense model, SVD-LLM, and two roundings; one in blocks that the model is not made of is left out."""
    run = Run(tmp_path_factory.mktemp("rounded") / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(methods={"dense": {}, "svd-llm": {}, **ROUNDED, "wide": {"checkpoint": {"bits": 4, "block": 32}}})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert "tiny: wide does not apply and is left out: blocks of 32 do not divide the inputs of its projections" in done.stdout
    return run


def rows_of(run: Run, method: str) -> pd.DataFrame:
    summary = pd.read_csv(run.folder / "results/summary.csv", keep_default_na=False, na_values=dict.fromkeys(["value", "ratio_stored"], ""))
    return summary[summary["method"] == method]


def mean_loss(folder: Path, ids: torch.Tensor) -> float:
    """Nats per token over windows, by transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return float(model(ids, labels=ids).loss)


@pytest.mark.parametrize("method", ROUNDED)
def test_it_is_measured_on_the_same_tokens_and_paired_with_the_dense_model(run: Run, method: str) -> None:
    rows = rows_of(run, method)
    assert set(rows["ratio"]) == {0.0} and {"accuracy_minus_dense", "speedup_over_dense"} <= set(rows["metric"])
    ids = AutoTokenizer.from_pretrained(run.folder / "model")((run.folder / "test.txt").read_text())["input_ids"]
    windows = torch.tensor(ids[: 8 * 32]).view(8, 32)
    dense, ours = (mean_loss(run.folder / place, windows) for place in ("model", f"results/rounded/tiny/{method}"))
    values = rows[rows["dataset"] == "words"].set_index("metric")["value"]
    assert ours != dense and values["log_perplexity_gap_to_dense"] == pytest.approx(ours - dense, rel=1e-3, abs=1e-6)


def test_fewer_bits_lose_more(run: Run) -> None:
    gaps = [rows_of(run, method).set_index("metric").loc["log_perplexity_gap_to_dense", "value"] for method in ("rounded-8", "rounded-4")]
    assert abs(gaps[0]) < abs(gaps[1])


@pytest.mark.parametrize("method", ROUNDED)
def test_its_size_is_the_bytes_of_its_files_and_its_record_says_what_was_rounded(run: Run, method: str) -> None:
    row, dense = (rows_of(run, name).iloc[0] for name in (method, "dense"))
    folder = run.folder / "results/rounded/tiny" / method
    assert row["bytes"] == sum(tensor.nbytes for tensor in load_file(folder / "model.safetensors").values()) < dense["bytes"]
    assert row["parameters"] == dense["parameters"], "a number of fewer bits is a parameter all the same"
    assert row["ratio_model"] == pytest.approx(1 - row["bytes"] / dense["bytes"]) and math.isnan(row["ratio_stored"])
    for place in (f"perplexity/tiny/{method}/0", f"zeroshot/tiny/{method}/0", f"throughput/tiny/0/{method}"):
        told = read_json(run.folder / f"results/{place}.json")["provenance"]
        source = told["checkpoint"]["source"]
        assert {key: source[key] for key in ("bits", "block")} == ROUNDED[method]["checkpoint"]
        assert source["projections"] == ["down", "gate", "k", "o", "q", "up", "v"] and source["scales"] == "bfloat16"
        assert told["method"]["checkpoint"] == source and told["making"] is None
        assert told["checkpoint"]["of"] == read_json(run.folder / "results/sources/tiny.json")


def test_it_wins_and_loses_nothing(run: Run) -> None:
    results = run.folder / "results"
    (told,) = (line for line in (results / "verdict.txt").read_text().splitlines() if "ounded" in line)
    assert told.startswith("What none of these methods made") and " could be used instead: Rounded to 8 bits loses " in told
    assert "the dense model rounded to 8 bits in blocks of 8 by compressed-tensors" in (results / "report.html").read_text()
    for table in ("main", "paired", "timings"):
        assert (results / f"tables/{table}.csv").read_text().count("rounded-8") == 1


def test_other_blocks_round_again_and_nothing_else(run: Run) -> None:
    assert run.planned() == {}
    before = run.config
    try:
        run.change(methods={**before["methods"], "rounded-4": {"checkpoint": {"bits": 4, "block": 4}}})
        planned = run.planned()
        assert {rule: count for rule, count in planned.items() if rule in ("round", "evaluate", "throughput", "compress", "spectrum")} == {
            "round": 1,
            "evaluate": 1,
            "throughput": 1,
        }
    finally:
        run.change(**before)
