"""Loading in processes of their own, with drank and without: by the transformers of this environment, and by that of `make compat`.

DRANK_TRANSFORMERS names a folder into which pip installed another transformers (`pip install --target`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from drank.models.checkpoint import save
from drank.models.families import FAMILIES
from tests.contract.forward import logits_of

ROOT = Path(__file__).parents[2]
OTHER = os.environ.get("DRANK_TRANSFORMERS")
VERSIONS = {"pinned": []} | ({"other": [str(Path(OTHER).resolve())]} if OTHER else {})

ORDER = ("llama", *sorted(set(FAMILIES) - {"llama"}))

# What reads config.json through transformers cites the seal, what is strict about names the notice.
NAMELESS = {
    "dense config": "ignore_mismatched_sizes",
    "lm_eval": "pip install drank, then import drank",
    "accelerate": r"torch.Size([0])",
    "accelerate strict": "no attribute 'basis'",
    "accelerate without map": "size mismatch",
    "safetensors": "size mismatch",
    "safetensors lax": "size mismatch",
    "state dict lax": "size mismatch",
    "state dict assigned": "size mismatch",
}


def run(folders, program, *arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    command = [sys.executable, str(Path(__file__).parent / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("folders", VERSIONS.values(), ids=VERSIONS)
def test_without_drank_every_way_ends_in_an_error(folders, compress, tiny_tokenizer, tmp_path):
    model, plan = compress("llama", group=2)
    save(model, tiny_tokenizer, plan.groups, tmp_path / "model")
    outcomes = json.loads(run(folders, "load_without_drank.py", tmp_path / "model", cwd=tmp_path))
    assert (outcomes.pop("version") == transformers.__version__) == (folders == [])
    assert len(outcomes) > 30
    assert [name for name, message in outcomes.items() if message is None] == []
    for name, message in outcomes.items():
        if name in NAMELESS:
            assert NAMELESS[name] in message, (name, message)
        else:
            assert "pip install drank, then import drank" in message, (name, message)


@pytest.mark.slow
@pytest.mark.parametrize("folders", VERSIONS.values(), ids=VERSIONS)
def test_with_drank_every_class_computes_with_the_factors(folders, compress, tiny_tokenizer, tokens, tmp_path):
    expected = {}
    for family in ORDER:
        model, plan = compress(family, group=2)
        save(model, tiny_tokenizer, plan.groups, tmp_path / family)
        expected[family] = logits_of(model, tokens)
    given, written = tmp_path / "tokens.safetensors", tmp_path / "results.safetensors"
    save_file({"tokens": tokens}, given)
    version = run([*folders, str(ROOT)], "load_with_drank.py", given, written, *(tmp_path / family for family in ORDER), cwd=ROOT)
    assert (version == transformers.__version__) == (folders == [])
    results = load_file(written)
    for family in FAMILIES:
        assert torch.equal(results[f"{family} logits"], expected[family]), family
        for kind in ("AutoModel",) if family == "granite" else ("AutoModel", "AutoModelForSequenceClassification"):
            assert torch.equal(results[f"{family} {kind}"], results[f"{family} AutoModelForCausalLM"]), (family, kind)
