"""A run that is compared with the dense model token by token: KL and agreement of what it compresses, rounds, or divides into shares."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.workflow.runs import PROJECT, Run

METHODS = {"dense": {}, "full-rank": {}, "svd-llm": {}, "rounded": {"checkpoint": {"bits": 4, "block": 8}}}
DIVERGENCE = {"layout": "pivot", "metric": "kl_to_dense", "rows": ["method"], "columns": ["ratio"], "runs": {}}
COMPARED = {"corpora": ["words"], "length": 32, "windows": 7, "batch": 2}
MADE = {"results/models/tiny/svd-llm/0.3": ("svd-llm", 0.3), "results/rounded/tiny/rounded": ("rounded", 0.0)}


@pytest.fixture(scope="module")
def run(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("to-dense") / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    artefacts = {"divergence": DIVERGENCE, "quality": {"layout": "quality", "runs": {}}}
    run.change(keep="models", methods=METHODS, perplexity=COMPARED, throughput=None, artefacts=artefacts)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    return run


def values_of(run: Run, metric: str) -> pd.Series:
    summary = pd.read_csv(run.folder / "results/summary.csv")
    rows = summary[(summary["metric"] == metric) & (summary["dataset"] == "words")]
    return rows.set_index(["method", "ratio"])["value"]


def test_it_is_what_transformers_alone_finds(run: Run) -> None:
    ids = AutoTokenizer.from_pretrained(run.folder / "model")((run.folder / "test.txt").read_text())["input_ids"]
    windows = torch.tensor(ids[: 7 * 32]).view(7, 32)
    import drank  # noqa: F401  (so that transformers reads a compressed model)

    def predicted(place: str) -> torch.Tensor:
        with torch.inference_mode():
            return (
                AutoModelForCausalLM.from_pretrained(run.folder / place, dtype=torch.float32)(windows)
                .logits[:, :-1]
                .double()
                .log_softmax(-1)
            )

    dense, divergence, agreement = predicted("model"), values_of(run, "kl_to_dense"), values_of(run, "top1_agreement")
    for place, cell in MADE.items():
        found = predicted(place)
        wanted = (dense.exp() * (dense - found)).sum(-1).mean().item()
        assert divergence[cell] == pytest.approx(wanted, rel=1e-4) and wanted > 1e-4
        assert agreement[cell] == pytest.approx((dense.argmax(-1) == found.argmax(-1)).double().mean().item(), abs=1 / 217)


def test_full_rank_is_dense_and_dense_is_not_compared_with_itself(run: Run) -> None:
    divergence, agreement = values_of(run, "kl_to_dense"), values_of(run, "top1_agreement")
    assert 0 <= divergence["full-rank", 0.0] < 1e-6 and agreement["full-rank", 0.0] == 1
    assert "dense" not in divergence.index.get_level_values("method")


def test_what_is_kept_of_the_dense_model_goes_with_its_last_reader(run: Run) -> None:
    assert not list((run.folder / "results/reference").rglob("*.safetensors"))
    assert run.planned() == {}
    table = (run.folder / "results/tables/divergence.tex").read_text()
    assert "KL to dense" in table and "Perplexity" not in table


def test_shares_find_the_same(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "run", PROJECT)
    shutil.copytree(run.folder, other.folder)
    shutil.rmtree(other.folder / "results/measured")
    place = other.folder / "results/perplexity/tiny/svd-llm/0.3.json"
    before = values_of(run, "kl_to_dense")
    place.unlink()
    other.change(compute={"shards": 2})
    done = other.snakemake()
    assert done.returncode == 0, done.stdout
    assert (other.folder / "results/logs/evaluate/tiny/svd-llm/0.3/1-of-2.log").is_file()
    pd.testing.assert_series_equal(values_of(other, "kl_to_dense"), before)


def test_a_metric_that_is_not_measured_is_refused(run: Run) -> None:
    asked = run.config
    run.change(perplexity={**COMPARED, "to_dense": False})
    try:
        refused = run.snakemake("-n")
        assert refused.returncode != 0 and "artefacts.divergence: metric: kl_to_dense is measured beside the dense model" in refused.stdout
        run.change(artefacts={"quality": {"layout": "quality", "runs": {}}})
        assert run.planned().get("evaluate", 0) == 3, "of the dense model nothing changes"
    finally:
        run.change(**asked)
