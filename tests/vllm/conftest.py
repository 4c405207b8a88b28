"""Compressed models for vLLM, and what transformers says of them; in an environment of its own, which `make test-vllm` makes.

What transformers says is asked before vLLM reads a model, for vLLM changes classes of transformers in its process.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from drank.models.checkpoint import save
from drank.models.conversion import convert, store
from drank.models.families import FAMILIES
from drank.models.storage import STORAGES
from tests.contract.conftest import build_factors, build_model, build_plan

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # a core that something else uses is not waited for
    "VLLM_LOGGING_LEVEL": "ERROR",
}

for variable, value in ENVIRONMENT.items():
    os.environ.setdefault(variable, value)

DENSE_FAMILIES = tuple(name for name, family in FAMILIES.items() if not family.mixture)

KINDS: dict[str, dict[str, Any]] = {"shared": {"group": 2}, "mixed": {"group": 2, "dense": ("o", "k", "up")}}
"""Bases that layers share, and beside them some projections stored dense, of those too that vLLM joins with low-rank ones."""

PROMPTS = ([5, 9, 33, 7], [100, 22, 3], list(range(1, 13)))
NEW = 32

SIZES: dict[str, dict[str, Any]] = {
    # vLLM's attention knows heads from 32 on
    "": {"hidden_size": 128, "initializer_range": 0.06},
    "gemma2": {"head_dim": 32, "tie_word_embeddings": True},  # vLLM's model of it has no other head
    "gemma3_text": {"head_dim": 32},
    "gpt2": {"scale_attn_by_inverse_layer_idx": False},  # vLLM's model of it knows no such scale
    "opt": {"word_embed_proj_dim": 128, "init_std": 0.06},
    "qwen3": {"head_dim": 32},
}

Said = list[tuple[list[int], list[float]]]
"""For each prompt the tokens that follow greedily, and their log-probabilities."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of this folder where there is no vLLM."""
    if importlib.util.find_spec("vllm") is None:
        for item in items:
            if Path(__file__).parent in Path(item.path).parents:
                item.add_marker(pytest.mark.skip(reason="vLLM is not installed here; `make test-vllm` makes an environment with it"))


@dataclass(frozen=True)
class Model:
    """A compressed model in a directory, and what transformers says."""

    directory: Path
    said: Said


def build(
    family: str,
    directory: Path,
    storage: str = "factors",
    keep: float = 0.6,
    dtype: torch.dtype = torch.float32,
    sizes: dict[str, Any] | None = None,
    **plan: Any,
) -> Any:
    """Compress a random model of a family, with other `sizes` than it has here, into a directory; returns the model."""
    model = build_model(family, **SIZES[""] | SIZES.get(family, {}) | (sizes or {}))
    made = build_plan(model, keep=keep, **{"group": 1} | plan)
    groups = tuple(replace(group, shape=replace(group.shape, storage=storage)) for group in made.groups)
    convert(model, groups, build_factors(model, replace(made, groups=groups)))
    store(model, groups, {})
    save(model, None, groups, directory)
    return model


def said_by(model: Any) -> Said:
    """What a model of transformers says, by the attention that knows Gemma 2's soft capping, which vLLM knows."""
    model.set_attn_implementation("eager")
    found = []
    for prompt in PROMPTS:
        given = torch.tensor([prompt])
        options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        whole = model.generate(given, attention_mask=torch.ones_like(given), **options)
        with torch.no_grad():
            likely = model(whole, use_cache=False).logits.float().log_softmax(-1)
        new = whole[0, len(prompt) :]
        found.append((new.tolist(), likely[0, len(prompt) - 1 : -1].gather(-1, new[:, None])[:, 0].tolist()))
    return found


def served(directory: Path, **options: Any) -> Said:
    """What vLLM says of the model in a directory."""
    from vllm import LLM, SamplingParams

    defaults = {"dtype": "float32", "enforce_eager": True, "max_model_len": 100, "skip_tokenizer_init": True, "seed": 0}
    engine = LLM(model=str(directory), disable_log_stats=True, **defaults | options)
    parameters = SamplingParams(max_tokens=NEW, temperature=0, ignore_eos=True, detokenize=False, logprobs=1)
    found = engine.generate([{"prompt_token_ids": prompt} for prompt in PROMPTS], parameters, use_tqdm=False)
    answers = [request.outputs[0] for request in found]
    return [(list(answer.token_ids), [next(iter(step.values())).logprob for step in answer.logprobs]) for answer in answers]


def assert_the_same(found: Said, expected: Said, within: float = 1e-4) -> None:
    """Equal tokens, and log-probabilities but for rounding."""
    assert [tokens for tokens, _ in found] == [tokens for tokens, _ in expected]
    (ours, theirs) = ([likely for _, likelihoods in said for likely in likelihoods] for said in (found, expected))
    assert max(abs(one - other) for one, other in zip(ours, theirs, strict=True)) < within


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str, str], Model]]:
    """Every dense family, storage and kind, by these three."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for family in DENSE_FAMILIES:
        for storage in STORAGES:
            for kind, plan in KINDS.items():
                directory = folder / f"{family}-{storage}-{kind}"
                made[family, storage, kind] = Model(directory, said_by(build(family, directory, storage, **plan)))
    yield made
