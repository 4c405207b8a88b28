"""Every family: the compressed model multiplied out is a plain checkpoint with the low-rank model's logits, in a process without drank."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.exports.dense import OURS, merge, product_of
from drank.models.exports.remote_code import add_code
from drank.models.families import FAMILIES
from drank.models.lowrank import PivotedLinear
from drank.models.tensors import stored_tensors
from tests.contract.forward import logits_of

PLAIN = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
tokens, out, *directories = eval(sys.argv[1]), *sys.argv[2:]
logits = {}
for directory in directories:
    model, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), (directory, info)
    with torch.no_grad():
        logits[directory] = model.eval()(torch.tensor(tokens), use_cache=False).logits
assert "drank" not in sys.modules
save_file(logits, out)
"""


def test_a_merged_model_has_the_logits_of_the_low_rank_one_without_drank(compress, tokens, tiny_tokenizer, tmp_path):
    """All families in one process, whole and in shards, heads tied and not, some projections stored dense."""
    expected = {}
    for number, family in enumerate(FAMILIES):
        model, plan = compress(family, dense=("o",), tie_word_embeddings=number % 2 == 0)
        save(model, tiny_tokenizer, plan.groups, tmp_path / family, documents={"plan.json": plan.to_json()})
        out = tmp_path / f"{family}-plain"
        assert merge(tmp_path / family, out, max_shard_size=8000 if number % 3 else "5GB") == out
        expected[str(out)] = logits_of(model, tokens)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, repr(tokens.tolist()), str(tmp_path / "logits.safetensors"), *expected],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for directory, logits in load_file(tmp_path / "logits.safetensors").items():
        assert expected[directory].abs().mean() > 0.1
        torch.testing.assert_close(logits, expected[directory], rtol=1e-4, atol=1e-4, msg=directory)


def test_a_merged_model_has_the_tensors_of_a_dense_one(family, compress, tiny_model, tiny_tokenizer, tmp_path):
    """Names, shapes and dtype are those of a dense checkpoint; tokenizer and generation configuration are there, what is drank's is not."""
    model, plan = compress(family, dtype=torch.bfloat16)
    save(model, tiny_tokenizer, plan.groups, tmp_path / "model", documents={"plan.json": plan.to_json()})
    save(tiny_model(family, dtype=torch.bfloat16), None, None, tmp_path / "dense")
    merge(tmp_path / "model", tmp_path / "plain")
    found, wanted = ({name: tensor.shape for name, tensor in stored_tensors(tmp_path / name).items()} for name in ("plain", "dense"))
    assert found == wanted
    tensors = load_file(tmp_path / "plain" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert not json.loads((tmp_path / "plain" / "config.json").read_text()).keys() & set(OURS)
    assert {"README.md", "generation_config.json", "tokenizer.json"} <= {path.name for path in (tmp_path / "plain").iterdir()}
    assert not (tmp_path / "plain" / "plan.json").exists()
    assert load_tokenizer(tmp_path / "plain")("def").input_ids == tiny_tokenizer("def").input_ids
    assert load_model(tmp_path / "plain").dtype == torch.bfloat16


@pytest.mark.parametrize("export", [merge, add_code])
@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_a_head_of_its_own_is_not_tied_in_name(export, family, compress, tokens, tmp_path):
    """As transformers reads the compressed model, which a server would not: it leaves out a head that the configuration ties."""
    model, plan = compress(family)
    save(model, None, plan.groups, tmp_path / "model")
    description = tmp_path / "model" / "config.json"
    config = json.loads(description.read_text())
    description.write_text(json.dumps(config | {"tie_word_embeddings": True}))
    exported = json.loads((export(tmp_path / "model", tmp_path / "export") / "config.json").read_text())
    assert exported["tie_word_embeddings"] is False
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "export", trust_remote_code=True).eval()
    torch.testing.assert_close(logits_of(found, tokens), logits_of(model, tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_products_are_taken_in_float64_and_rounded_once(family, compress, tmp_path):
    model, plan = compress(family, group=2, dtype=torch.bfloat16)
    save(model, None, plan.groups, tmp_path / "model")
    merge(tmp_path / "model", tmp_path / "plain", max_shard_size=4000)
    plain = load_model(tmp_path / "plain")
    shape = next(group.shape for group in plan.groups if len(group.shape.layers) == 2)
    role = {"llama": "self_attn.q_proj", "gpt2": "attn.c_attn"}[family]
    for layer in shape.layers:
        blocks = (model.model.layers, plain.model.layers) if family == "llama" else (model.transformer.h, plain.transformer.h)
        low_rank, dense = (block[layer].get_submodule(role) for block in blocks)
        pivots = low_rank.pivots if isinstance(low_rank, PivotedLinear) else None
        product = product_of(low_rank.basis.weight, low_rank.coefficients.weight, pivots).bfloat16()
        assert torch.equal(dense.weight, product if family == "llama" else product.mT)
