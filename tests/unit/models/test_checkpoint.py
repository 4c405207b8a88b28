"""drank.models.checkpoint and the registration in drank/__init__: transformers learns of drank late, once, and without cost to others."""

from __future__ import annotations

import copy
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import filter_repo_objects
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING

from drank.allocation.plan import Plan
from drank.models import checkpoint
from drank.models.checkpoint import DrankConfig, load_model, load_tokenizer, locate, save
from drank.models.description import CheckpointError, describe
from drank.models.groups import Group, Shape
from tests.unit.models.converted_llama import PLAN, converted

ROOT = Path(__file__).parents[3]


def python(code: str, **environment: str) -> str:
    """The standard output of a fresh process."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_drank_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'numpy', 'safetensors', 'huggingface_hub'}"
    python(f"import sys, drank; assert not {heavy} & set(sys.modules); assert drank.__version__")


@pytest.mark.parametrize(
    "order",
    [
        "import drank; import transformers.quantizers.auto as auto",
        "import drank.models.checkpoint; drank.models.checkpoint.register(); import transformers.quantizers.auto as auto",
        "import drank, importlib; importlib.reload(drank); import transformers.quantizers.auto as auto; importlib.reload(drank)",
    ],
)
def test_registers_in_any_order_and_once(order):
    python(
        f"{order}\nimport inspect\n"
        "assert auto.AUTO_QUANTIZER_MAPPING['drank'].__name__ == 'DrankQuantizer'\n"
        "assert auto.AUTO_QUANTIZATION_CONFIG_MAPPING['drank'].__name__ == 'DrankConfig'\n"
        "assert type(auto.__spec__.loader).__name__ == type(auto.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert 'def register_quantizer' in inspect.getsource(auto)\n"
    )


def test_registering_again_changes_nothing():
    before = dict(AUTO_QUANTIZER_MAPPING), dict(AUTO_QUANTIZATION_CONFIG_MAPPING)
    checkpoint.register()
    assert (dict(AUTO_QUANTIZER_MAPPING), dict(AUTO_QUANTIZATION_CONFIG_MAPPING)) == before


def test_a_failing_import_of_transformers_is_not_hidden(tmp_path):
    package = tmp_path / "transformers" / "quantizers"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "auto.py").write_text("raise RuntimeError('broken install')")
    code = "import drank\ntry:\n    import transformers.quantizers.auto\nexcept RuntimeError as error:\n    print(error)"
    assert python(code, PYTHONPATH=str(tmp_path)) == "broken install\n"


def test_config_is_plain_data():
    config = DrankConfig(**describe(PLAN.groups))
    assert config.to_dict() == describe(PLAN.groups) == json.loads(config.to_json_string())
    assert copy.deepcopy(config).to_dict() == config.to_dict()
    with pytest.raises(CheckpointError, match="format 7"):
        DrankConfig(**describe(PLAN.groups) | {"format": 7})


def test_loaded_model_is_an_ordinary_model(tmp_path):
    save(converted(), None, PLAN.groups, tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert model.config.quantization_config == describe(PLAN.groups)
    assert not getattr(model, "is_quantized", False)
    assert getattr(model, "hf_quantizer", None) is None
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_files_have_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        save(converted(), None, PLAN.groups, tmp_path / "model", max_shard_size=600)
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "model").iterdir()}
    assert len(modes) > 4
    assert set(modes.values()) == {0o640}, modes


def test_save_refuses_a_plan_that_did_not_make_the_model(tmp_path):
    other = Plan("tiny", "other", 0.4, {}, (Group(Shape("q", (0, 1), 8, 8), 3.0, 2),))
    with pytest.raises(ValueError, match=r"the model was converted to other groups, the groups given are 1"):
        save(converted(), None, other.groups, tmp_path / "model")
    with pytest.raises(ValueError, match="the model was converted to other groups, the groups given are none"):
        save(converted(), None, None, tmp_path / "model")
    with pytest.raises(ValueError, match=r"the model was not converted, the groups given are 1"):
        dense = LlamaForCausalLM(LlamaConfig(num_hidden_layers=1, hidden_size=8, num_attention_heads=2))
        save(dense, None, PLAN.groups, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_leaves_what_was_there(tmp_path):
    save(converted(), None, PLAN.groups, tmp_path / "model")
    whole = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}

    class Broken:
        def save_pretrained(self, directory: Path) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save(converted(), Broken(), PLAN.groups, tmp_path / "model")
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == whole
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_hub_models_come_from_the_local_cache(tmp_path):
    """A cached snapshot is found by name and revision with the hub switched off; anything else is one clear error."""
    commit = "0" * 40
    repository = tmp_path / "hub" / "models--someone--tiny"
    save(converted(), None, PLAN.groups, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (repository / "refs" / "v1").write_text(commit)
    code = f"""
from drank.models.checkpoint import load_model, locate
from drank.models.description import CheckpointError
for revision in (None, "main", "v1", {commit!r}):
    assert load_model("someone/tiny", revision=revision).config.quantization_config["groups"]
for source, revision in (("someone/tiny", "v2"), ("someone/else", None), ("results/models/nothing/at/all", None)):
    try:
        locate(source, revision)
    except CheckpointError as error:
        print(error)
"""
    lines = python(code, HF_HUB_CACHE=str(tmp_path / "hub"), HF_HUB_OFFLINE="1").splitlines()
    assert len(lines) == 3
    assert all("neither a model directory nor" in line and "run `prefetch`" in line for line in lines)
    assert "someone/tiny" in lines[0] and "revision v2" in lines[0]


def test_a_folder_without_a_model_is_refused(tmp_path):
    for read in (locate, load_model, load_tokenizer):
        with pytest.raises(CheckpointError, match=r"no model directory: it has no config\.json"):
            read(tmp_path)


def test_pickled_weights_are_refused(tmp_path):
    save(converted(), None, PLAN.groups, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="drank reads safetensors only"):
        load_model(tmp_path / "model")


def test_of_a_hub_model_templates_alone_are_fetched_from_folders_and_no_weights_twice(monkeypatch):
    wanted = ["config.json", "model.safetensors", "chat_template.jinja", "additional_chat_templates/tool_use.jinja"]
    there = [
        *wanted,
        "original/model.safetensors",
        "original/params.json",
        "onnx/model.onnx",
        "pytorch_model.bin",
        "consolidated.safetensors",
    ]
    fetched = []

    def fetch(name, revision, **patterns):
        fetched.extend(filter_repo_objects(there, **patterns))
        return name

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    locate("someone/smaller")
    assert fetched == wanted
