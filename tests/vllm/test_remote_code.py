"""vLLM's Transformers backend runs a model exported with code of its own: tokens and likelihoods of transformers, without drank.

Each model is served in a process of its own, for vLLM changes classes of transformers in its process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file

from drank.models.exports.remote_code import add_code
from tests.vllm.conftest import DENSE_FAMILIES, NEW, PROMPTS, assert_the_same, build

SERVED = """
import json, sys
sys.modules["drank"] = None  # `import drank` fails, installed or not
from vllm import LLM, SamplingParams
directory, (prompts, tokens, options) = sys.argv[1], map(json.loads, sys.argv[2:])
options |= {"model_impl": "transformers", "dtype": "float32", "enforce_eager": True, "max_model_len": 64, "skip_tokenizer_init": True}
parameters = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False, logprobs=1)
said = [one.outputs[0] for one in LLM(directory, **options).generate([{"prompt_token_ids": one} for one in prompts], parameters)]
print(json.dumps([(list(one.token_ids), [next(iter(step.values())).logprob for step in one.logprobs]) for one in said]))
"""

RUN = [name for name in DENSE_FAMILIES if name != "gpt2"]
"""The families that the backend runs: gpt2 it does not run dense either."""


def exported(directory, model):
    """Export a model with code, in a process that vLLM has changed nothing in; gives what transformers says after each prompt."""
    subprocess.run([sys.executable, "-m", "drank", "export", str(model.directory), str(directory), "--to", "remote-code"], check=True)
    return model.said


def served(directory, **options):
    """The process that serves a directory, at its end."""
    arguments = [str(directory), json.dumps(PROMPTS), json.dumps(NEW), json.dumps({"trust_remote_code": True} | options)]
    command = [sys.executable, "-c", SERVED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, env=os.environ | {"VLLM_PLUGINS": ""}, check=False)


def said(directory, **options):
    done = served(directory, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize(("storage", "kind"), [("factors", "shared"), ("factors", "mixed"), ("pivoted", "mixed")])
@pytest.mark.parametrize("family", RUN)
def test_it_says_what_transformers_says(models, family, storage, kind, tmp_path):
    expected = exported(tmp_path / "export", models[family, storage, kind])
    assert_the_same(said(tmp_path / "export"), expected)


def test_two_processes_say_the_same_with_factors(models, tmp_path):
    expected = exported(tmp_path / "export", models["llama", "factors", "mixed"])
    assert_the_same(said(tmp_path / "export", tensor_parallel_size=2, distributed_executor_backend="mp"), expected)


def test_swapped_factors_change_tokens_and_what_is_missing_or_untrusted_is_refused(models, tmp_path):
    directory = tmp_path / "export"
    expected = exported(directory, models["qwen2", "factors", "shared"])
    first, second = (f"model.layers.{layer}.self_attn.o_proj.basis.weight" for layer in (0, 1))
    whole = load_file(directory / "model.safetensors")
    swapped = whole | {first: whole[second], second: whole[first]}
    save_file(swapped, directory / "model.safetensors", metadata={"format": "pt"})
    assert [tokens for tokens, _ in said(directory)] != [tokens for tokens, _ in expected]
    lacking = {
        "basis": (first, "missing"),
        "bias": ("model.layers.1.self_attn.k_proj.coefficients.bias", "missing"),
        "coefficients": ("model.layers.2.mlp.up_proj.coefficients.weight", "missing"),
    }
    for name, message in lacking.values():
        tensors = {key: value for key, value in whole.items() if key != name}
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        done = served(directory)
        assert done.returncode and message in done.stderr and name.removeprefix("model.") in done.stderr, done.stderr[-3000:]
    save_file(whole, directory / "model.safetensors", metadata={"format": "pt"})
    done = served(directory, trust_remote_code=False)
    assert done.returncode and "DrankQwen2ForCausalLM" in done.stderr, done.stderr[-3000:]  # which vLLM does not know


def test_missing_pivots_and_experts_are_refused(models, tmp_path):
    directory = tmp_path / "export"
    exported(directory, models["llama", "pivoted", "shared"])
    whole = load_file(directory / "model.safetensors")
    tensors = {key: value for key, value in whole.items() if key != "model.layers.0.self_attn.q_proj.order"}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    done = served(directory)
    assert done.returncode and "q_proj.order: missing" in done.stderr, done.stderr[-3000:]
    build("mixtral", tmp_path / "mixture", group=2)
    add_code(tmp_path / "mixture", directory)
    done = served(directory)
    assert done.returncode and "vllm fuses experts" in done.stderr, done.stderr[-3000:]
