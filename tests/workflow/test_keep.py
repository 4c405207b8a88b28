"""What a run keeps: everything, what is used afterwards, or the numbers alone; what is gone is made again only where it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.report_links import links_in
from tests.workflow.runs import PROJECT, Run, write_inputs

METHODS = {"dense": {}, "svd-llm": {}, "zs-svd": {}, "d-rank": {}}
PASSING = ("moments", "gradients", "spectra", "slopes")


def run_keeping(folder: Path, keep: str) -> Run:
    write_inputs(folder)
    run = Run(folder, PROJECT)
    run.change(keep=keep, methods=METHODS, zeroshot={}, throughput=None)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    return run


def planned(run: Run, **changes: object) -> dict[str, int]:
    """The jobs of the same run with a changed configuration."""
    file = run.folder / "config.yaml"
    before = file.read_text("utf-8")
    run.change(**changes)
    try:
        return run.planned()
    finally:
        file.write_text(before, "utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_keeping(tmp_path_factory.mktemp("models"), "models")


def test_what_leads_to_the_models_is_gone_with_its_last_reader(models: Run) -> None:
    results = models.folder / "results"
    assert not [path for name in PASSING for path in results.glob(f"{name}/**/*.safetensors")]
    assert (results / "models/tiny/d-rank/0.3/model.safetensors").is_file() and (results / "cards.txt").is_file()
    assert (results / "effective_ranks/tiny/whitening-n2.json").is_file()
    assert models.planned() == {}


def test_what_is_shown_otherwise_makes_nothing_of_it_again(models: Run) -> None:
    shown = {"ranks": {"layout": "effective_rank_by_layer", "runs": {"method": "d-rank"}, "caption": "Ranks."}}
    assert planned(models, artefacts=shown) == {"ranks": 1}


def test_one_more_ratio_makes_again_what_it_reads_and_leaves_the_models(models: Run) -> None:
    results = models.folder / "results"
    dated = [*results.glob("models/tiny/*/0.3/making.json"), *results.glob("perplexity/tiny/*/0.3.json")]
    before = {path: path.read_text("utf-8") for path in dated}
    models.change(ratios=[0.3, 0.5])
    done = models.snakemake()
    assert done.returncode == 0, done.stdout
    assert len(before) == 6 and {path: path.read_text("utf-8") for path in dated} == before
    assert len(list(results.glob("models/tiny/*/0.5"))) == 3 and not list(results.glob("moments/**/*.safetensors"))
    assert models.planned() == {}


def test_nothing_leaves_the_numbers_alone(tmp_path: Path) -> None:
    run = run_keeping(tmp_path / "nothing", "nothing")
    results = run.folder / "results"
    assert not [path for name in (*PASSING, "models") for path in results.glob(f"{name}/**/*.safetensors")]
    assert (results / "report.html").is_file() and len(list(results.glob("perplexity/tiny/*/*.json"))) == 4
    assert not (results / "cards.txt").exists()
    to, dead = links_in(run.folder)
    assert not dead and "results/perplexity/tiny/d-rank/0.3.json" in to and not [path for path in to if "README" in path]
    assert "keeps no compressed models" in (results / "report.html").read_text("utf-8")
    assert run.planned() == {}


def test_a_run_for_its_models_alone_keeps_them(tmp_path: Path) -> None:
    write_inputs(tmp_path / "run")
    run = Run(tmp_path / "run", PROJECT)
    run.change(keep="nothing", perplexity={}, zeroshot={}, throughput=None)
    refused = run.snakemake("-n")
    assert refused.returncode != 0 and "keep: nothing" in refused.stdout
