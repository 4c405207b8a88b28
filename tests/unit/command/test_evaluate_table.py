"""What `drank evaluate` prints of several models, also where one of them fails."""

import pytest
from click.testing import CliRunner

from drank.command import drank
from drank.command.evaluate import table_of
from tests.unit.records_fixture import perplexity_record
from tests.unit.reporting.test_beginnings import begun


def test_numbers_of_two_conventions_stand_in_rows_of_their_own():
    one, two = begun(perplexity_record("g", "dense", 0.0), "window"), perplexity_record("m", "dense", 0.0)
    lines = [*table_of({"g": {"perplexity": one}, "m": {"perplexity": two}})]
    of_text = [line for line in lines if line.startswith("python-docs perplexity ")]
    assert sum("(bos: window)" in line for line in of_text) == 1
    widths = {line.count("[") for line in of_text if " perplexity  " in line or "perplexity (bos" in line}
    assert widths == {1}, "no row has the numbers of both"


def test_as_published_nothing_is_added():
    record = perplexity_record("m", "dense", 0.0)
    assert not [line for line in table_of({"m": {"perplexity": record}}) if "bos" in line]


def test_records_of_models_of_one_name_do_not_replace_each_other(tmp_path):
    told = CliRunner().invoke(drank, ["evaluate", "a/same", "b/same", "--out", str(tmp_path)])
    assert told.exit_code == 2
    assert f"the records of several models would lie in {tmp_path / 'same'}" in told.output


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Folders called a, b and c that pass for models, of which b cannot be measured, and those that it was tried with."""
    tried = []

    def call(model, *_, **__):
        tried.append(model[-1])
        if model.endswith("b"):
            raise KeyboardInterrupt
        return {"perplexity": perplexity_record("m", "dense", 0.0)}

    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setattr("drank.calls.evaluate.evaluate", call)
    monkeypatch.setattr("drank.calls.measuring.faults_of", lambda source: [])
    return tried, [str(tmp_path / name) for name in "abc"]


def test_what_was_measured_is_told_where_a_later_model_is_interrupted(models):
    tried, paths = models
    told = CliRunner().invoke(drank, ["evaluate", *paths, "--text", "x"], standalone_mode=False)
    assert tried == ["a", "b"] and told.exit_code != 0
    assert told.output.splitlines()[0].split() == [paths[0]]
    assert "python-docs perplexity" in told.output


def test_all_models_are_looked_at_before_one_is_measured(models, monkeypatch, tmp_path):
    tried, paths = models
    told = CliRunner().invoke(drank, ["evaluate", paths[0], "lost", "--text", "x"])
    assert "model 'lost' is no directory here" in str(told.exception)
    monkeypatch.undo()
    monkeypatch.setattr("drank.calls.evaluate.evaluate", lambda *_, **__: pytest.fail("this was measured"))
    told = CliRunner().invoke(drank, ["evaluate", "docs-mha", paths[1], "--text", "x"])
    assert f"model {paths[1]}: {paths[1]} holds no config.json" in str(told.exception)
    assert tried == []
