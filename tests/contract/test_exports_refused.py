"""What is not whole, not what its card states or not all there is of a model is not exported, and nothing is left of the attempt."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.checkpoint import save
from drank.models.description import CheckpointError
from drank.models.exports.dense import merge
from drank.models.exports.onnx import to_onnx
from drank.models.exports.remote_code import add_code
from drank.models.exports.writing import take_along
from tests.unit.small_compressed import compressed

FORMS = (merge, add_code)


def changed(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def pivots(value):
    return lambda tensors: tensors["model.layers.0.mlp.up_proj.pivots"].__setitem__(0, value(tensors["model.layers.0.mlp.up_proj.pivots"]))


DAMAGES = {
    "norm": (lambda tensors: tensors.pop("model.norm.weight"), "1 tensors missing: model.norm.weight"),
    "head": (lambda tensors: tensors.pop("lm_head.weight"), "1 tensors missing: lm_head.weight"),
    "surplus": (lambda tensors: tensors.update({"model.layers.1.mlp.up_proj.bias": torch.zeros(40)}), "mlp.up_proj.bias"),
    "basis": (lambda tensors: tensors.pop("model.layers.0.mlp.up_proj.basis.weight"), "layers.0.mlp.up_proj.basis.weight: missing"),
}
PIVOTS = {
    "repeated": (pivots(lambda found: found[1]), "up_proj.pivots does not name 10 different ones of 16 inputs"),
    "negative": (pivots(lambda found: -1), "up_proj.pivots does not name 10 different"),
    "too large": (pivots(lambda found: 16), "up_proj.pivots does not name 10 different"),
}


@pytest.mark.parametrize("export", FORMS)
def test_a_model_that_is_not_whole_is_refused_without_a_card_too(export, storage, compress, tmp_path):
    model, plan = compress("llama", num_hidden_layers=2)
    save(model, None, plan.groups, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    whole = file.read_bytes()
    for change, said in (DAMAGES | (PIVOTS if storage == "pivoted" else {})).values():
        file.write_bytes(whole)
        changed(file, change)
        with pytest.raises(CheckpointError) as refused:
            export(tmp_path / "model", tmp_path / "out")
        assert said in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("export", FORMS)
def test_other_bytes_than_the_card_states_are_refused(export, tmp_path):
    compressed(tmp_path / "model")
    changed(tmp_path / "model" / "model.safetensors", lambda tensors: tensors["model.norm.weight"].add_(1))
    with pytest.raises(CheckpointError, match=r"does not hold the weights that its README\.md states"):
        export(tmp_path / "model", tmp_path / "out")


@pytest.mark.parametrize("export", [*FORMS, to_onnx])
def test_what_is_no_model_or_only_half_of_one_is_refused(export, tmp_path, monkeypatch):
    monkeypatch.setattr("drank.models.exports.onnx.NEEDED", ())
    compressed(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"mdoel is no model directory: it has no config\.json"):
        export(tmp_path / "mdoel", tmp_path / "out")
    (tmp_path / "model" / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"holds an adapter .adapter_config\.json.*merge_and_unload"):
        export(tmp_path / "model", tmp_path / "out")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="holds no keys and values"):
        export(tmp_path / "list", tmp_path / "out")


@pytest.mark.parametrize("export", FORMS)
def test_no_other_weights_go_along(export, tmp_path):
    directory, out = tmp_path / "model", tmp_path / "out"
    compressed(directory)
    for name in ("pytorch_model.bin", "tf_model.h5", "model.onnx", "model.onnx.data", "optimizer.pt", "results.json"):
        (directory / name).write_bytes(b"other weights")
    for name in ("LICENSE", "NOTICE", "vocab.txt"):
        (directory / name).write_text("goes along")
    export(directory, out)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    ours = {"README.md", "config.json", "model.safetensors", *(["modeling_drank.py"] if export is add_code else [])}
    texts = {"LICENSE", "NOTICE", "vocab.txt", "chat_template.jinja", "additional_chat_templates/tool_use.jinja"}
    assert found == ours | texts | {"generation_config.json", "tokenizer.json", "tokenizer_config.json"}


def test_what_an_export_has_written_stays(tmp_path):
    for folder, text in (("model", "theirs"), ("out", "ours")):
        (tmp_path / folder).mkdir()
        for name in ("tokenizer.json", "model.onnx"):
            (tmp_path / folder / name).write_text(text)
    take_along(tmp_path / "model", tmp_path / "out")
    assert {path.read_text() for path in (tmp_path / "out").iterdir()} == {"ours"}
