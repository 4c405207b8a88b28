"""What `drank evaluate` prints of several models."""

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
