"""What cannot be done to time a model is said before anything runs, for all models at once."""

from __future__ import annotations

from typing import Any

import pytest

from drank.config import check, with_defaults
from drank.models import made_once
from tests.contract.conftest import CONFIGS
from tests.unit.configurations import SCHEMA, problems

MIXTURE = {"shape": {"model_type": "mixtral", **CONFIGS["mixtral"]}}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made_once.failure.cache_clear()


@pytest.fixture
def timed(valid: dict[str, Any]) -> dict[str, Any]:
    """The valid configuration with vLLM for what is timed; the context of its model is 128."""
    return valid | {"throughput": {"engine": "vllm", "prompt": 64, "generate": 32}}


def passes(config: dict[str, Any]) -> None:
    """Nothing is wrong with a configuration."""
    check(with_defaults(config, SCHEMA))


def test_a_dense_family_is_timed_by_either_engine(timed: dict[str, Any]) -> None:
    passes(timed)
    timed["throughput"]["engine"] = "transformers"
    passes(timed)


def test_an_engine_that_is_none_is_named(timed: dict[str, Any]) -> None:
    timed["throughput"]["engine"] = "vlm"
    (problem,) = problems(timed)
    assert problem.startswith("throughput.engine: 'vlm'") and "'transformers', 'vllm'" in problem


def test_forms_are_of_transformers_models(timed: dict[str, Any]) -> None:
    timed["throughput"]["variants"] = ["plain", "compiled"]
    (problem,) = problems(timed)
    assert "leave variants out" in problem
    passes({**timed, "throughput": {**timed["throughput"], "engine": "transformers"}})


def test_vllm_counts_the_token_after_the_last(timed: dict[str, Any]) -> None:
    timed["throughput"]["generate"] = 64
    (problem,) = problems(timed)
    assert problem.startswith("models.tiny: ") and "context of 128" in problem
    passes({**timed, "throughput": {**timed["throughput"], "engine": "transformers"}})


def test_rounded_weights_are_for_a_gpu(timed: dict[str, Any]) -> None:
    timed["methods"]["rounded-8"] = {}
    (problem,) = problems(timed)
    assert problem.startswith("models.tiny: ") and "leave rounded-8 out" in problem
    passes({**timed, "compute": {"device": "cuda"}})
    passes({**timed, "throughput": {**timed["throughput"], "engine": "transformers"}})


def test_compressed_mixtures_are_refused_and_dense_ones_are_not(timed: dict[str, Any]) -> None:
    shapes = {"methods": {"dense": {}, "svd": {}}, "ratios": [0.2], "models": {"experts": MIXTURE}, "throughput": timed["throughput"]}
    (problem,) = problems(shapes)
    assert problem.startswith("models.experts: ") and "svd" in problem and "dense" not in problem.split(";")[0]
    passes({**shapes, "methods": {"dense": {}}, "ratios": []})


@pytest.mark.parametrize(("family", "reason"), [("mixtral", "which experts run"), ("gemma2", "sliding window"), ("llama", "")])
def test_forms_that_a_family_cannot_run_are_refused(family: str, reason: str, timed: dict[str, Any]) -> None:
    shape = {"shape": {"model_type": family, **CONFIGS[family]}}
    asked = {"prompt": 8, "generate": 8, "variants": ["plain", "fused", "prepacked"]}
    shapes = {"methods": {"dense": {}}, "ratios": [], "models": {"some": shape}, "throughput": asked}
    if reason:
        (problem,) = problems(shapes)
        assert problem.startswith("models.some: throughput.variants has prepacked, which a ") and reason in problem
    passes({**shapes, "throughput": {**asked, "variants": ["plain", *(["fused"] if reason else ["compiled"])]}})


def test_rounded_weights_are_not_compiled(timed: dict[str, Any]) -> None:
    timed["throughput"] = {"prompt": 8, "generate": 8, "variants": ["plain", "fused", "compiled"]}
    passes(timed)
    timed["methods"]["rounded-4"] = {}
    (problem,) = problems(timed)
    assert problem.startswith("models.tiny: throughput.variants has compiled, which rounded-4 cannot run")
    passes({**timed, "throughput": {**timed["throughput"], "variants": ["plain", "fused"]}})


def test_weights_are_not_packed_for_a_gpu(timed: dict[str, Any]) -> None:
    timed["throughput"] = {"prompt": 8, "generate": 8, "variants": ["plain", "prepacked"]}
    passes(timed)
    (problem,) = problems({**timed, "compute": {"device": "cuda:1"}})
    assert problem.startswith("throughput.variants has prepacked, and compute.device is cuda:1: a GPU has no layout")
    passes({**timed, "compute": {"device": "cuda:1"}, "throughput": {**timed["throughput"], "variants": ["plain", "compiled"]}})
