"""A shape in a run: timed without text, statistics or spectra, and reported as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from drank.evaluation.served.interpreter import VARIABLE
from drank.runtime.files import file_hash
from tests.unit.evaluation.engines import python_with_engine
from tests.workflow.runs import PROJECT, Run

SHAPE = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
CONFIG: dict[str, Any] = {
    "models": {"it": {"shape": {**SHAPE, "vocab_size": 64, "max_position_embeddings": 64}}},
    "ratios": [0.4],
    "methods": {"dense": {}, "factors": {"base": "svd"}, "pivoted-4": {"base": "svd", "storage": "pivoted", "rank_multiple": 4}},
    "throughput": {"batch": 1, "prompt": 8, "generate": 2, "repeats": 2},
    "keep": "models",
    "artefacts": {"timings": {"layout": "throughput"}, "speed": {"layout": "throughput_by_ratio"}},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A folder with a configuration that times a shape, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    return Run(tmp_path, PROJECT)


def test_it_goes_from_its_description_to_the_report(run: Run) -> None:
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    results = run.folder / "results"
    left = {path.name for path in results.iterdir()}
    assert not left & {"moments", "gradients", "spectra", "tokens", "effective_ranks", "cards.txt"}
    summary = pd.read_csv(results / "summary.csv")
    assert set(summary["method"]) == {"dense", "factors", "pivoted-4"} and set(summary["weights"]) == {"random"}
    said = "it has random weights"
    assert said in (results / "report.html").read_text() and said in done.stdout
    assert run.planned() == {}
    run.change(methods={**CONFIG["methods"], "l-rank": {}}, perplexity={"corpora": ["words"]})
    refused = run.snakemake("-n")
    assert refused.returncode != 0
    assert "method l-rank: weighting kronecker-fisher" in refused.stdout and "perplexity.corpora asks what it predicts" in refused.stdout


def test_ranks_that_are_given_are_an_input_of_their_plan_alone(run: Run) -> None:
    """From one method's plan to another's, edited: what is edited is made anew, and nothing where the plan is as it was."""
    ours, found, mine = "results/plans/it/factors/0.4.json", "results/plans/it/found/0.4.json", run.folder / "mine" / "0.4.json"
    assert run.snakemake(ours).returncode == 0
    mine.parent.mkdir()
    plan = json.loads((run.folder / ours).read_text())
    plan["groups"][0]["rank"] += 1
    mine.write_text(json.dumps(plan))
    run.change(methods={**CONFIG["methods"], "found": {"base": "svd", "allocator": "given", "plan": "mine/{ratio}.json"}})
    done = run.snakemake(found)
    assert done.returncode == 0, done.stdout
    made = json.loads((run.folder / found).read_text())
    assert made["groups"] == [{**row, **other} for row, other in zip(plan["groups"], made["groups"], strict=True)]
    assert made["groups"][0]["rank"] == plan["groups"][0]["rank"] and made["settings"]["plan"] == "0.4.json" and made["method"] == "found"
    assert made["settings"]["given"] == {"sha256": file_hash(mine), "method": "factors"}
    assert run.planned(found, ours) == {}
    plan["groups"][1]["rank"] -= 1
    mine.write_text(json.dumps(plan))
    assert run.planned(found, ours) == {"allocate": 1}
    plan["groups"][1]["rank"] = 1000
    mine.write_text(json.dumps(plan))
    refused = run.snakemake("-n", found)
    assert refused.returncode != 0 and "models.it: method found: plan mine/0.4.json: ranks past the largest" in refused.stdout


def test_vllm_times_it_in_an_environment_of_its_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one nothing is begun; something stands in the place of vLLM here."""
    run.change(throughput={**CONFIG["throughput"], "engine": "vllm"})
    monkeypatch.delenv(VARIABLE, raising=False)
    refused = run.snakemake()
    assert refused.returncode != 0 and f"{VARIABLE}=PATH" in refused.stdout
    assert not (run.folder / "results/models").exists() and not (run.folder / "results/throughput").exists()
    monkeypatch.setenv(VARIABLE, str(python_with_engine(tmp_path / "engine")))
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    report = (run.folder / "results/report.html").read_text()
    assert "Throughput and size of it in vLLM:" in report and "0.0.1" in report
    assert (pd.read_csv(run.folder / "results/summary.csv")["metric"] == "by_vllm").sum() == 3
    assert run.planned() == {}
    run.change(throughput=CONFIG["throughput"])
    assert run.planned()["throughput"] == 2, "another engine makes other numbers"
