"""Measurements share how they load a model and what their records say of it."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation.measured_model import MeasuredModel
from drank.methods import METHODS
from drank.models.sources import describe_source
from drank.reporting.records.measured import record_of
from drank.runtime.device import gpu_name, prepare
from drank.runtime.files import file_hash, write_json

SHAPE = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16}
COMPUTE = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def source(tmp_path):
    LlamaForCausalLM(LlamaConfig(vocab_size=11, **SHAPE)).to(torch.float16).save_pretrained(tmp_path / "model")
    write_json(tmp_path / "source.json", describe_source({"path": str(tmp_path / "model")}))
    return tmp_path / "source.json"


def test_a_record_tells_what_was_measured_and_how(source):
    subject = MeasuredModel.of(source, COMPUTE, threads=1)
    row = {"dataset": "text", "metric": "accuracy", "value": 0.5, "count": 4}
    label = {"model": "tiny", "method": "dense", "ratio": "0"}
    record = record_of(subject, "zeroshot", label, [row], {}, {"limit": 4}, {"data": "0" * 64}, METHODS["dense"].settings())
    assert subject.model.dtype == torch.float32
    assert record.size.bytes == 4 * record.size.parameters, "sizes are those of the precision of the run"
    assert record.size.parameters == sum(p.numel() for p in subject.model.parameters())
    assert record.provenance["inputs"] == {"model": file_hash(source.parent / "model"), "data": "0" * 64}
    assert record.provenance["settings"] == {"limit": 4}
    assert record.provenance["method"] == METHODS["dense"].settings()
    assert record.provenance["calibration"] is None and record.provenance["making"] is None
    assert record.provenance["machine"]["cores"] >= 1 and record.provenance["machine"]["cpu"]
    assert (record.provenance["device"], record.provenance["threads"]) == ("cpu", 1)


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch sees no GPU here"):
        prepare({"device": "cuda", "dtype": "float32"}, 1)
    assert prepare({"device": "auto", "dtype": "float32"}, 1) == "cpu"
    assert gpu_name("cpu") is None
