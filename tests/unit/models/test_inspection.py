"""drank.models.inspection and drank.models.verification: what directories are, and what is wrong with them."""

from __future__ import annotations

import json

import peft
import pytest
from safetensors.torch import load_file, save_file

from drank.models.card.onnx import onnx_card
from drank.models.card.updating import update_card
from drank.models.description import CheckpointError
from drank.models.documents import CARD, DATA, GRAPH, MAKING, PLAN
from drank.models.exports.dense import merge
from drank.models.exports.onnx import onnx_hashes
from drank.models.exports.remote_code import add_code
from drank.models.inspection import inspect
from drank.models.verification import verify
from drank.runtime.files import file_hash
from tests.unit.models.test_card import records_of
from tests.unit.small_compressed import GROUPS, compressed, dense


@pytest.fixture
def made(tmp_path):
    compressed(tmp_path / "made")
    return tmp_path / "made"


def test_a_compressed_model_is_told_whole(made):
    update_card(made, records_of(made))
    found = inspect(made)
    facts = dict(found.facts)
    assert found.kind == "compressed" and found.what == "a model compressed by drank"
    assert facts["base model"] == f"org/base, revision {'a' * 40}" and facts["licence"] == "llama3.1"
    assert (facts["method"], facts["ratio"]) == ("D-Rank (d-rank)", "0.4 asked for")
    assert "from_pretrained(" in facts["load"]
    tables = dict(found.tables)
    assert tables["ranks"][1:] == (("q", "1 basis for up to 2 layers each", "3", "3", "3", "8", "56.25 %"), ANY_DOWN)
    assert ("beta", "0.3") in tables["settings"] and ("refit_from", "0.4") in tables["settings"]
    assert len(tables["numbers"]) > 4
    assert found.verified == (
        "verified: 1 weight file has the SHA-256 of the card; 6 tensors of low-rank and dense projections are as config.json promises"
    )
    lines = str(found).splitlines()
    assert lines[0] == f"{made}: a model compressed by drank" and lines[-1] == found.verified
    begin = {line.index(value) for line, (_, value) in zip(lines[1:], found.facts, strict=False)}
    assert len(begin) == 1, "values begin below each other"


ANY_DOWN = ("down", "2 matrices, 1 dense", "4", "4", "4", "8", "91.67 %")


def test_hashes_may_be_left_alone(made, monkeypatch):
    monkeypatch.setattr("drank.models.inspection.verify", lambda _: pytest.fail("looked"))
    assert inspect(made, hashes=False).verified == ""


def test_a_model_without_documents_is_still_known(made):
    for name in (CARD, PLAN, MAKING):
        (made / name).unlink()
    found = inspect(made)
    assert dict(found.facts)["method"] == "not noted down"
    assert found.verified.startswith("not verified: there is no README.md to state hashes; 6 tensors")
    (made / CARD).write_text("somebody's own words")
    assert verify(made).startswith("not verified: the README.md states no hashes; 6 tensors")


def test_another_weight_file_is_named_with_both_hashes(made):
    file = made / "model.safetensors"
    stated, content = file_hash(file), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"copy these files again, or rerun `compress`") as caught:
        inspect(made)
    assert f"model.safetensors: the card states {stated}, the file has {file_hash(file)}" in str(caught.value)


def test_files_that_are_gone_or_too_many_are_named(tmp_path):
    compressed(tmp_path / "shards", max_shard_size=1500)
    compressed(tmp_path / "whole")
    (tmp_path / "shards" / CARD).write_text((tmp_path / "whole" / CARD).read_text())
    with pytest.raises(CheckpointError) as caught:
        verify(tmp_path / "shards")
    assert "model.safetensors: the card states" in str(caught.value) and "the directory does not have it" in str(caught.value)
    assert "model-00001-of-" in str(caught.value) and "the card states no such file" in str(caught.value)


def test_tensors_that_config_json_does_not_promise_are_named(made):
    tensors, layer = load_file(made / "model.safetensors"), "model.layers.1."
    del tensors[f"{layer}mlp.down_proj.weight"]
    tensors[f"{layer}self_attn.q_proj.coefficients.weight"] = tensors[f"{layer}self_attn.q_proj.coefficients.weight"][:, :2].contiguous()
    save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"not the model that its config\.json describes") as caught:
        verify(made)
    assert f"{layer}mlp.down_proj.weight: missing" in str(caught.value)
    assert f"{layer}self_attn.q_proj.coefficients.weight: shape [8, 2], config.json promises [8, 3]" in str(caught.value)


def test_dense_models_of_known_and_unknown_families(tmp_path, made):
    dense().save_pretrained(tmp_path / "dense")
    found = inspect(tmp_path / "dense")
    facts = dict(found.facts)
    assert (found.kind, facts["family"], facts["layers"]) == ("dense", "llama", "2")
    assert facts["projections"] == "q, k, v, o, gate, up, down" and found.verified.startswith("not verified")
    config = json.loads((tmp_path / "dense" / "config.json").read_text()) | {"model_type": "bloom"}
    (tmp_path / "dense" / "config.json").write_text(json.dumps(config))
    assert "bloom, unknown to drank, which compresses gemma2" in dict(inspect(tmp_path / "dense").facts)["family"]
    merge(made, tmp_path / "plain")
    plain = inspect(tmp_path / "plain")
    assert plain.what == "a plain model, merged from one that drank compressed" and plain.verified.startswith("verified: 1 weight file")
    assert "compress" in facts and "compress" not in dict(plain.facts)


def test_an_export_with_code_names_the_code_and_says_where_it_lacks(tmp_path, made):
    out = add_code(made, tmp_path / "export")
    found = inspect(out)
    facts = dict(found.facts)
    assert (found.kind, facts["family"], facts["low-rank"]) == ("remote code", "llama", "3 projections")
    assert "exported with code of its own" in found.what and found.verified.startswith("verified: 1 weight file")
    assert facts["code"] == "modeling_drank.py, which transformers runs where you trust it"
    assert "trust_remote_code=True" in facts["load"] and str(out) in facts["load"]
    (out / "modeling_drank.py").unlink()
    assert dict(inspect(out).facts)["code"] == "modeling_drank.py, which is not there: export the model again"


def test_an_onnx_graph_says_of_which_family_it_is_and_whether_its_files_are_those_of_the_card(tmp_path):
    out = tmp_path / "onnx"
    out.mkdir()
    (out / "config.json").write_text('{"model_type": "llama"}')
    for name in (GRAPH, DATA):
        (out / name).write_bytes(name.encode())
    (out / CARD).write_text(onnx_card("small", onnx_hashes(out), None, True, {}), "utf-8")
    found = inspect(out)
    assert (found.kind, dict(found.facts)["family"]) == ("onnx", "llama") and "for ONNX Runtime" in found.what
    assert found.verified == "verified: 2 weight files have the SHA-256 of the card"
    (out / DATA).write_bytes(b"other")
    with pytest.raises(CheckpointError, match=f"{DATA}: the card states"):
        inspect(out)


def test_other_directories(tmp_path, made):
    (tmp_path / "gptq").mkdir()
    (tmp_path / "gptq" / "config.json").write_text('{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}')
    assert inspect(tmp_path / "gptq").kind == "quantized" and "a checkpoint of gptq, not of drank" in str(inspect(tmp_path / "gptq"))
    peft.get_peft_model(dense(), peft.LoraConfig(r=3, target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    adapter = inspect(tmp_path / "adapter")
    assert adapter.kind == "adapter" and {("kind", "LORA"), ("rank", "3"), ("modules", "q_proj")} <= set(adapter.facts)
    results = tmp_path / "run" / "results"
    compressed(results / "models" / "tiny" / "d-rank" / "0.4")
    (results / "summary.csv").touch()
    for folder in (results, tmp_path / "run"):
        found = inspect(folder)
        assert found.kind == "results" and dict(found.tables)["models"][1] == ("tiny", "d-rank", "0.4")
    (tmp_path / "empty").mkdir()
    assert inspect(tmp_path / "empty").kind == inspect(tmp_path / "none").kind == inspect(made / CARD).kind == "nothing"
    assert "not there" in str(inspect(tmp_path / "none")) and "a file, no folder" in str(inspect(made / CARD))


def test_what_is_no_compressed_model_is_not_merged(tmp_path, made):
    dense().save_pretrained(tmp_path / "dense")
    with pytest.raises(CheckpointError, match="not compressed by drank"):
        merge(tmp_path / "dense", tmp_path / "plain")
    with pytest.raises(ValueError, match="name another folder"):
        merge(made, made)
    assert sum(not group.dense for group in GROUPS) == 2 and inspect(made).kind == "compressed"
