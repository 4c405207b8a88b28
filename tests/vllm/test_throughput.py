"""vLLM is timed as transformers is: a step for each token, on the same prompts, of the models that the plug-in runs."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

import drank
from drank.evaluation.served.interpreter import VARIABLE
from drank.evaluation.served.runner import Served
from drank.evaluation.served.workload import Workload
from drank.models.storage import STORAGES
from tests.vllm.conftest import KINDS, build

SIZES = {"batch": 2, "prompt": 40, "generate": 6}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("storage", STORAGES)
def test_rounds_of_a_compressed_model(storage: str, dtype: str, tmp_path: Path) -> None:
    build("llama", tmp_path / "model", storage, **KINDS["mixed"])
    work = Workload(tmp_path / "model", SIZES, None, dtype)
    with closing(Served("it", work, {"device": "cpu", "dtype": dtype, "threads": 1})) as runner:
        for _ in range(3):
            first, steps = runner.round()
            assert first > 0 and len(steps) == 6 and min(steps) > 0
        assert runner.told["packages"]["vllm"].startswith("0.32")


def test_a_model_is_measured_by_a_call(tmp_path: Path) -> None:
    drank.compress("docs-mha", "svd", 0.4, out=tmp_path / "model", storage="pivoted")
    sizes = {"engine": "vllm", "batch": 2, "prompt": 40, "generate": 6, "repeats": 6}
    record = drank.evaluate(str(tmp_path / "model"), throughput=sizes, threads=1, card=False)["throughput"]
    found = {(row.dataset, row.metric): row for row in record.results}
    assert found["decode", "tokens_per_second"].value > 0 and found["prefill", "time_to_first_token"].ci_low is not None
    assert record.detail["execution"]["engine"] == "vllm"
