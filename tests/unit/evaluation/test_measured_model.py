"""Measurements share how they load a model and what their records say of it."""

from dataclasses import fields

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.allocation.plan import Plan
from drank.compression.making import Making
from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.measurement import Measurement
from drank.methods import METHODS, Method
from drank.models.documents import CARD, MAKING, PLAN
from drank.models.sources import describe_source
from drank.reporting.records import Record
from drank.reporting.records.subject import Subject
from drank.runtime.device import gpu_name, prepare
from drank.runtime.files import file_hash, write_json

SHAPE = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16}
COMPUTE = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def source(tmp_path):
    LlamaForCausalLM(LlamaConfig(vocab_size=11, **SHAPE)).to(torch.float16).save_pretrained(tmp_path / "model")
    write_json(tmp_path / "source.json", describe_source({"path": str(tmp_path / "model")}, "tiny"))
    return tmp_path / "source.json"


def opened(source):
    """The model that a source file describes."""
    return MeasuredModel.of(source, COMPUTE, 1, {"tiny": {"path": str(source.parent / "model")}})


def test_a_record_tells_what_was_measured_and_how(source):
    subject = opened(source)
    row = {"dataset": "text", "metric": "accuracy", "value": 0.5, "count": 4}
    label = {"model": "tiny", "method": "dense", "ratio": "0"}
    found = Measurement("zeroshot", [row], {}, subject.taken(), {"limit": 4}, {"data": "0" * 64})
    record = Subject(subject.directory, label, METHODS["dense"].settings()).record(found)
    assert subject.model.dtype == torch.float32
    assert record.size.bytes == 4 * record.size.parameters, "sizes are those of the precision of the run"
    assert record.size.parameters == sum(p.numel() for p in subject.model.parameters())
    assert record.provenance["inputs"] == {"model": file_hash(source.parent / "model"), "data": "0" * 64}
    assert record.provenance["settings"] == {"limit": 4}
    assert record.provenance["method"] == METHODS["dense"].settings()
    assert record.provenance["calibration"] is None and record.provenance["making"] is None
    assert record.provenance["machine"]["cores"] >= 1 and record.provenance["machine"]["cpu"]
    assert (record.provenance["device"], record.provenance["threads"]) == ("cpu", 1)


def test_the_record_of_a_compressed_model_tells_how_it_was_made(source):
    """From what stands in the model's folder: the plan's settings, its texts, and the making, which is no part of the model's hash."""
    folder, method = source.parent / "model", METHODS["l-rank"]
    search = {"corpus": "wiki", "split": "validation", "windows": 2, "length": 8}
    plan = Plan("tiny", "mine", 0.2, method.settings(0.2), (), {"search": search})
    making, text = Making(plan, "cpu", 1), {"corpus": "wiki", "split": "train", "windows": 4, "length": 8}
    with making.stage("refit", text):
        pass
    before = file_hash(folder)
    documents = {PLAN: plan.to_json(), MAKING: making.to_json()}
    (folder / PLAN).write_text(documents[PLAN])
    with_plan = file_hash(folder)
    (folder / MAKING).write_text(documents[MAKING])
    (folder / CARD).write_text("tells dates and numbers, which are no part of the hash either")
    label = {"model": "tiny", "method": "mine", "ratio": "0.2"}
    row = {"dataset": "text", "metric": "accuracy", "value": 0.5, "count": 4}
    record = Subject(folder, label).record(Measurement("zeroshot", [row], {}, opened(source).taken(), {}))
    found = Record.from_dict(record.to_dict()).provenance
    assert found["method"] == method.settings(0.2) and found["method"].keys() == {field.name for field in fields(Method)}
    assert found["calibration"] == {**text, "search": search}, "the text of the refit where the spectra needed none"
    assert set(found["making"]["stages"]) == {"refit"} and found["making"]["seconds"] >= 0 and found["making"]["machine"]["cpu"]
    assert found["inputs"]["model"] == with_plan != before
    assert file_hash(folder) != with_plan


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"torch sees no GPU here; .* on a cluster .* compute\.gpus asks for, which is 0"):
        prepare({"device": "cuda", "dtype": "float32"}, 1)
    assert prepare({"device": "auto", "dtype": "float32"}, 1) == "cpu"
    assert gpu_name("cpu") is None


def test_a_gpu_past_those_that_are_there_is_told_before_anything_is_put_on_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert prepare({"device": "cuda:1"}, 1) == "cuda:1"
    with pytest.raises(ValueError, match=r"compute\.device is cuda:2, and torch sees 2 GPUs here, the last of them cuda:1; name one"):
        prepare({"device": "cuda:2"}, 1)
