"""What is not exported to ONNX is refused before the work, or as soon as it is known, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil

import pytest

import drank
from drank.models.checkpoint import save
from drank.models.description import CheckpointError
from drank.models.exports import onnx
from drank.models.exports.answers import ExportError
from drank.models.exports.onnx import to_onnx
from drank.models.families import UnknownFamilyError


@pytest.fixture
def half_written(tiny_model, tmp_path):
    save(tiny_model("llama", num_hidden_layers=1), None, None, tmp_path / "written")
    return tmp_path / "written"


def test_a_model_that_the_exporter_cannot_follow_is_refused(half_written, tmp_path, monkeypatch):
    def refuse(model, past):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnx, "NEEDED", ())
    monkeypatch.setattr("drank.models.exports.graph.traced", refuse)
    with pytest.raises(ExportError, match=r"cannot follow this llama model .no such operator."):
        to_onnx(half_written, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_refused_before_the_work(half_written, tmp_path, monkeypatch):
    found = {"packed": {"quantization_config": {"quant_method": "gptq"}}, "strange": {"model_type": "mamba"}}
    monkeypatch.setattr(onnx, "NEEDED", ())
    monkeypatch.setattr(onnx, "_program", lambda model: pytest.fail("work began"))
    for name, entries in found.items():
        shutil.copytree(half_written, tmp_path / name)
        config = json.loads((half_written / "config.json").read_text()) | entries
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="packed by gptq"):
        to_onnx(tmp_path / "packed", tmp_path / "out")
    with pytest.raises(UnknownFamilyError, match="mamba"):
        to_onnx(tmp_path / "strange", tmp_path / "out")
    with pytest.raises(CheckpointError, match="no model directory"):
        to_onnx(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(ValueError, match="name another folder"):
        to_onnx(half_written, half_written)
    assert not (tmp_path / "out").exists()


def test_without_its_packages_the_export_says_what_to_install(half_written, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "NEEDED", ("onnxruntime_that_nobody_has",))
    with pytest.raises(ImportError, match=r"pip install .+\[onnx\]"):
        drank.export(half_written, tmp_path / "out", to="onnx")


def test_gguf_is_refused_with_what_to_do_instead(half_written, tmp_path):
    with pytest.raises(ValueError, match=r"knows no low-rank layers.*Export to dense"):
        drank.export(half_written, tmp_path / "out", to="gguf")


def test_a_place_that_cannot_be_written_to_is_found_before_the_work(half_written, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "NEEDED", ())
    monkeypatch.setattr("drank.models.checkpoint.load_model", lambda *given: pytest.fail("work began"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        to_onnx(half_written, tmp_path / "file" / "out")
