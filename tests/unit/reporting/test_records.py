import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from drank.reporting.records import Record, RecordError, Result, provenance
from drank.reporting.records.provenance import git_state
from drank.steps.files import file_hash
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
        ({"schema": 2}, "schema"),
        ({"kind": "speed"}, "speed"),
        ({"ratio": 1.5}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"model": ""}, "model"),
        ({"results": []}, "results"),
        ({"size": {"parameters": 1, "bytes": 2, "ratio_stored": 0.0}}, "ratio_model"),
        ({"results": [{"dataset": "d", "metric": "m", "value": 1.0, "sd": 2.0}]}, "sd"),
        ({"results": [{"dataset": "d", "metric": "m", "value": True}]}, "value"),
        ({"provenance": provenance_of() | {"host": "here"}}, "host"),
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


def test_provenance_is_what_a_record_accepts():
    found = provenance({"windows": 4}, {"model": "0" * 64}, time.perf_counter() - 2, "cpu", 2)
    Record.from_dict(perplexity_record("m", "dense", 0.0).to_dict() | {"provenance": found})
    assert 2 <= found["seconds"] < 10
    assert found["peak_memory_bytes"] > 2**20
    assert found["packages"]["numpy"]
    assert found["settings"] == {"windows": 4}


def _git(folder, *arguments):
    who = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    command = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **who})


def test_git_state_tells_commit_and_changes(tmp_path):
    package, foreign = tmp_path / "package", tmp_path / "foreign"
    package.mkdir()
    foreign.mkdir()
    assert git_state(package) is None
    _git(tmp_path, "init", "-q")
    assert git_state(package) is None
    (package / "code.py").write_text("one")
    (tmp_path / ".gitignore").write_text("foreign\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    clean = git_state(package)
    assert clean is not None
    assert clean["dirty"] is False
    assert len(clean["commit"]) == 40
    (package / "code.py").write_text("two")
    assert git_state(package) == {"commit": clean["commit"], "dirty": True}
    (foreign / "code.py").write_text("installed into an environment inside somebody's repository")
    assert git_state(foreign) is None


def test_file_hash_knows_files_and_folders(tmp_path):
    (tmp_path / "a").write_text("x")
    assert file_hash(tmp_path / "a") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    before = file_hash(tmp_path)
    assert before == file_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file_hash(tmp_path) != before


def test_reading_records_imports_neither_torch_nor_pandas():
    modules = "drank.reporting.records, drank.reporting.intervals"
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'transformers', 'pandas'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
