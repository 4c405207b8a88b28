"""vLLM's Transformers backend runs a model exported with code of its own: the greedy tokens of transformers, without drank.

Each model is served in a process of its own, for vLLM changes classes of transformers in its process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.checkpoint import save
from drank.models.conversion import convert, store
from drank.models.exports.remote_code import add_code
from drank.models.families import FAMILIES
from tests.contract.conftest import build_factors, build_model, build_plan

pytestmark = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here (see envs/vllm.lock)")

SERVED = """
import json, sys
sys.modules["drank"] = None  # `import drank` fails, installed or not
from vllm import LLM, SamplingParams
directory, prompts, options = sys.argv[1], *map(json.loads, sys.argv[2:])
options |= {"model_impl": "transformers", "dtype": "float32", "enforce_eager": True, "max_model_len": 64, "skip_tokenizer_init": True}
parameters = SamplingParams(temperature=0, max_tokens=32, ignore_eos=True, detokenize=False)
said = LLM(directory, **options).generate([{"prompt_token_ids": one} for one in prompts], parameters)
print(json.dumps([list(one.outputs[0].token_ids) for one in said]))
"""
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
PROMPTS = ([5, 9, 33, 7], [100, 22, 3], list(range(1, 13)))

# vLLM's attention knows heads from 32 on
SIZES = {
    "gemma2": {"head_dim": 32},
    "gemma3_text": {"head_dim": 32},
    "opt": {"word_embed_proj_dim": 128, "init_std": 0.06},
    "qwen3": {"head_dim": 32},
}
RUN = [name for name, family in FAMILIES.items() if not family.mixture and name != "gpt2"]
"""The families that the backend runs: gpt2 it does not run dense either, and experts it fuses."""


def exported(directory, family, storage="factors", dense=()):
    """Export a compressed random model; gives what transformers says after each prompt."""
    model = build_model(family, **{"hidden_size": 128, "initializer_range": 0.06} | SIZES.get(family, {}))
    plan = build_plan(model, group=2, keep=0.6, dense=dense)
    plan = replace(plan, groups=tuple(replace(one, shape=replace(one.shape, storage=storage)) for one in plan.groups))
    convert(model, plan.groups, build_factors(model, plan))
    store(model, plan.groups, {})
    save(model, None, plan.groups, directory.with_name("model"))
    add_code(directory.with_name("model"), directory)
    options = {"max_new_tokens": 32, "min_new_tokens": 32, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    given = [torch.tensor([prompt]) for prompt in PROMPTS]
    return [model.generate(one, attention_mask=torch.ones_like(one), **options)[0, one.shape[1] :].tolist() for one in given]


def served(directory, **options):
    """The process that serves a directory, at its end."""
    arguments = [str(directory), json.dumps(PROMPTS), json.dumps({"trust_remote_code": True} | options)]
    command = [sys.executable, "-c", SERVED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, env=os.environ | ENVIRONMENT, check=False)


def said(directory, **options):
    done = served(directory, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("kind", ["factors", "factors mixed", "pivoted"])
@pytest.mark.parametrize("family", RUN)
def test_tokens_are_those_of_transformers(family, kind, tmp_path):
    """Bases are shared; mixed, some projections are dense, of those too that vLLM joins with low-rank ones."""
    dense = ("o", "k", "up") if "mixed" in kind else ()
    assert exported(tmp_path / "export", family, kind.split()[0], dense) == said(tmp_path / "export")


def test_two_processes_say_the_same_with_factors(tmp_path):
    expected = exported(tmp_path / "export", "llama", dense=("k",))
    assert said(tmp_path / "export", tensor_parallel_size=2, distributed_executor_backend="mp") == expected


def test_swapped_factors_change_tokens_and_what_is_missing_or_untrusted_is_refused(tmp_path):
    directory = tmp_path / "export"
    expected = exported(directory, "qwen2")
    first, second = (f"model.layers.{layer}.self_attn.o_proj.basis.weight" for layer in (0, 1))
    whole = load_file(directory / "model.safetensors")
    swapped = whole | {first: whole[second], second: whole[first]}
    save_file(swapped, directory / "model.safetensors", metadata={"format": "pt"})
    assert said(directory) != expected
    lacking = {
        "basis": (first, "not initialized"),
        "bias": ("model.layers.1.self_attn.k_proj.coefficients.bias", "not initialized"),
        "coefficients": ("model.layers.2.mlp.up_proj.coefficients.weight", "not initialized"),
    }
    for name, message in lacking.values():
        tensors = {key: value for key, value in whole.items() if key != name}
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        done = served(directory)
        assert done.returncode and message in done.stderr and name.removeprefix("model.") in done.stderr, done.stderr[-3000:]
    save_file(whole, directory / "model.safetensors", metadata={"format": "pt"})
    done = served(directory, trust_remote_code=False)
    assert done.returncode and "trust_remote_code" in done.stderr, done.stderr[-3000:]


def test_missing_pivots_and_experts_are_refused(tmp_path):
    directory = tmp_path / "export"
    exported(directory, "llama", "pivoted")
    whole = load_file(directory / "model.safetensors")
    tensors = {key: value for key, value in whole.items() if key != "model.layers.0.self_attn.q_proj.order"}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    done = served(directory)
    assert done.returncode and "index" in done.stderr, done.stderr[-3000:]
    exported(directory, "mixtral")
    done = served(directory)
    assert done.returncode and "vLLM fuses experts" in done.stderr, done.stderr[-3000:]
