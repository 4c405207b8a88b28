"""A shape becomes ranks and factors without a spectrum: within the budget, loaded like any other, and marked as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from drank.allocation.plan import Plan
from drank.config.method_entries import method_of
from drank.models import made_once
from drank.models.checkpoint import load_model
from drank.models.documents import CARD
from drank.models.lowrank import PivotedLinear
from drank.models.tensors import size_of
from drank.reporting.records import read_records
from drank.reporting.report.random_weights import random_weights
from drank.reporting.summary import summarise
from drank.runtime.files import read_json
from drank.steps import allocate, compress_shape, source, throughput
from tests.contract.conftest import CONFIGS

SHAPE = {"model_type": "llama", **CONFIGS["llama"]}
PLACES: dict[str, Any] = {"it": {"shape": SHAPE}}
COMPUTE: dict[str, Any] = {"compute": {"device": "cpu", "dtype": "float32"}, "threads": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with the description, plan and model of a shape, pivoted, in groups of two layers and ranks that are multiples of two."""
    folder = tmp_path_factory.mktemp("shape")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        made_once.failure.cache_clear()
        source.run(folder / "it.json", name="it", source=PLACES["it"])
        settings = method_of("mine", {"base": "svd", "storage": "pivoted", "group": 2, "rank_multiple": 2}).settings(0.4)
        described = {"source": str(folder / "it.json"), "places": PLACES}
        names = {"model": "it", "method": "mine", "ratio": "0.4"}
        allocate.run(folder / "plan.json", names=names, evidence={}, settings=settings, **described)
        compress_shape.run(folder / "made", plan=str(folder / "plan.json"), **described, **COMPUTE)
        yield folder


def test_the_plan_meets_its_budget_by_ranks_that_follow_from_the_shape(made: Path) -> None:
    plan = Plan.read(made / "plan.json")
    assert plan.parameters <= 0.6 * plan.dense_parameters and size_of(made / "made").ratio_stored >= 0.4
    assert {group.rank % 2 for group in plan.groups} == {0} and {len(group.shape.layers) for group in plan.groups} == {1, 2}
    assert len({(group.shape.kind, len(group.shape.layers), group.rank) for group in plan.groups}) <= 14, "ranks of a kind are alike"


def test_it_is_a_model_in_its_storage_that_computes(made: Path) -> None:
    model = load_model(made / "made")
    assert sum(isinstance(module, PivotedLinear) for module in model.modules()) == 3 * 7 and model.dtype == torch.float32
    with torch.inference_mode():
        assert model(input_ids=torch.arange(8)[None]).logits.isfinite().all()


def test_its_folder_tells_how_it_was_made_and_claims_nothing(made: Path) -> None:
    making = read_json(made / "made/making.json")
    assert making["base"]["source"] == {"shape": SHAPE} and making["calibration"] is None and set(making["stages"]) == {"factors"}
    assert not (made / "made" / CARD).exists() and not list((made / "made").glob("*token*"))


def test_what_is_measured_of_it_says_that_its_weights_are_random(made: Path) -> None:
    timed = {"batch": 1, "prompt": 8, "generate": 2, "repeats": 2, "bos": "text"}
    names = {"model": "it", "ratio": "0.4"}
    models = {"mine": str(made / "made")}
    throughput.run(
        made / "timed", names=names, models=models, throughput=timed, dense=None, beside=str(made / "it.json"), places=PLACES, **COMPUTE
    )
    records = read_records([made / "timed"])
    assert set(summarise(records)["weights"]) == {"random"}
    (said,) = random_weights(records)
    assert said.startswith("it has random weights") and random_weights([]) == []
