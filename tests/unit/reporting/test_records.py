import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from drank.reporting.records import Record, RecordError, Result
from tests.unit.records_fixture import KINDS, perplexity_record, provenance_of, zeroshot_record


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_comes_back_as_it_was_written(tmp_path, kind):
    record = KINDS[kind]("docs-mha", "d-rank", 0.2)
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record


def test_what_a_result_does_not_have_is_not_written(tmp_path):
    record = replace(zeroshot_record("m", "dense", 0.0), results=(Result("task", "accuracy", 0.5),))
    record.write(tmp_path / "record.json")
    assert json.loads((tmp_path / "record.json").read_text())["results"] == [{"dataset": "task", "metric": "accuracy", "value": 0.5}]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"extra": 1}, "extra"),
        ({"schema": 1}, "schema"),
        ({"kind": "speed"}, "speed"),
        ({"ratio": 1.5}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"model": ""}, "model"),
        ({"results": []}, "results"),
        ({"size": {"parameters": 1, "bytes": 2, "ratio_stored": 0.0}}, "ratio_model"),
        ({"results": [{"dataset": "d", "metric": "m", "value": 1.0, "sd": 2.0}]}, "sd"),
        ({"results": [{"dataset": "d", "metric": "m", "value": True}]}, "value"),
        ({"provenance": provenance_of() | {"host": "here"}}, "host"),
        ({"provenance": {key: value for key, value in provenance_of().items() if key != "method"}}, "method"),
        ({"provenance": provenance_of() | {"method": {"weighting": "identity"}}}, "allocator"),
        ({"provenance": provenance_of() | {"machine": {"cpu": "x", "cores": 0, "memory_bytes": 1, "gpu": None}}}, "cores"),
        ({"provenance": provenance_of() | {"date": "yesterday"}}, "date"),
        ({"provenance": provenance_of() | {"inputs": {"model": "abc"}}}, "inputs"),
        ({"detail": {"python-docs": {"window_loss": [1.0]}}}, "window_tokens"),
        ({"detail": {"python-docs": {"window_loss": [1.0, 2.0], "window_tokens": [3]}}}, "2 window losses for 1"),
        ({"results": [{"dataset": "d", "metric": "m", "value": 1.0, "ci_low": 1.5, "ci_high": 2.0}]}, "outside its interval"),
        ({"results": [{"dataset": "d", "metric": "m", "value": 1.0}] * 2}, "twice"),
    ],
)
def test_what_does_not_meet_the_schema_is_refused_by_name(change, named):
    data = perplexity_record("docs-mha", "svd", 0.4).to_dict() | change
    with pytest.raises(RecordError, match=named) as error:
        Record.from_dict(data, "some/file.json")
    assert "some/file.json" in str(error.value)
    assert "docs-mha" in str(error.value) or "model" in change


def test_all_problems_are_told_at_once():
    data = perplexity_record("docs-mha", "svd", 0.4).to_dict() | {"ratio": 2, "kind": "speed", "more": 1}
    with pytest.raises(RecordError) as error:
        Record.from_dict(data)
    assert all(word in str(error.value) for word in ("ratio", "speed", "more"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_refused_with_model_and_data_set(tmp_path, bad):
    record = perplexity_record("docs-mha", "svd", 0.4)
    broken = replace(record, results=(*record.results[:2], replace(record.results[2], value=bad, ci_low=None, ci_high=None)))
    with pytest.raises(RecordError, match=r"docs-mha/svd/0\.4[\s\S]*python-reference perplexity"):
        broken.write(tmp_path / "record.json")
    assert not (tmp_path / "record.json").exists()
    (tmp_path / "record.json").write_text(json.dumps(broken.to_dict()))
    with pytest.raises(RecordError, match="not a finite number"):
        Record.read(tmp_path / "record.json")


def test_non_finite_detail_is_refused():
    data = perplexity_record("docs-mha", "svd", 0.4).to_dict()
    data["detail"]["python-docs"]["window_loss"][3] = math.nan
    with pytest.raises(RecordError, match=r"detail\.python-docs\.window_loss\[3\]"):
        Record.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_what_is_no_record_at_all_is_refused(data):
    with pytest.raises(RecordError):
        Record.from_dict(data)


def test_reading_records_imports_neither_torch_nor_pandas():
    modules = "drank.reporting.records, drank.statistics.paired"
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'transformers', 'pandas'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
