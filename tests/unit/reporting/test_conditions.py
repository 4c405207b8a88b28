"""What the report says of where records come from: a difference is marked where it is a fault, and only there."""

from dataclasses import replace

from drank.reporting.report.conditions import facts, sizes
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records, make_plan


def fact(records, name):
    return next(found for found in facts(records) if found.name == name)


def changed(record, **values):
    return replace(record, provenance={**record.provenance, **values})


def test_what_methods_read_and_when_was_measured_may_differ():
    records = all_records(models=("m",), ratios=(0.2,))
    later = changed(records[-1], date="2026-03-04T05:06:07+00:00")
    found = fact([*records[:-1], later], "measured")
    assert (found.values, found.mixed) == (["2026-01-02T03:04:05+00:00 to 2026-03-04T05:06:07+00:00"], False)
    other = changed(records[-1], calibration={**records[-1].provenance["calibration"], "gradient_windows": 64})
    texts = fact([*records[:-1], other], "texts")
    assert texts.values == ["python-docs.train, 128 × 256 tokens", "python-docs.train, 128 × 256 tokens, gradients on 64"]
    assert not texts.mixed


def test_threads_are_those_of_a_kind_of_measurement():
    records = [changed(r, threads=4 if r.kind == "throughput" else 1) for r in all_records(models=("m",), ratios=(0.2,))]
    found = fact(records, "threads")
    assert (found.values, found.mixed) == (["1 (perplexity)", "1 (zeroshot)", "4 (throughput)"], False)
    odd = fact([changed(records[0], threads=3), *records[1:]], "threads")
    assert odd.mixed and odd.values[0] == "3 or 1 (perplexity)"


def test_another_machine_is_a_difference_worth_a_mark():
    records = all_records(models=("m",), ratios=(0.2,))
    machine = {**records[0].provenance["machine"], "cpu": "Another CPU", "gpu": "A GPU"}
    mixed = [changed(records[0], machine=machine), *records[1:]]
    assert fact(mixed, "processor").mixed and fact(mixed, "GPU").values == ["A GPU", "none"]
    assert not fact(records, "processor").mixed and fact(records, "memory").values == ["16.0 GiB"]


def test_packages_of_vllm_are_its_own():
    records = all_records(models=("m",), ratios=(0.2,))
    packages = records[0].provenance["packages"]
    name = next(iter(packages))
    served = {"settings": {"engine": "vllm"}, "packages": {**packages, name: "0.1", "vllm": "0.32.0"}}
    mixed = [changed(record, **served) if record.kind == "throughput" else record for record in records]
    found = fact(mixed, name)
    assert (found.values, found.mixed) == ([packages[name], "0.1 (where vllm runs it)"], False)
    assert fact(mixed, "vllm").values == ["0.32.0 (where vllm runs it)"] and not fact(mixed, "vllm").mixed
    here = [
        changed(record, packages={**record.provenance["packages"], "snakemake": "9"}) if record.kind != "throughput" else record
        for record in mixed
    ]
    assert fact(here, "snakemake").values == ["9"], "that vLLM's environment has none is no news"
    odd = fact([changed(mixed[0], packages={**packages, name: "9"}), *mixed[1:]], name)
    assert odd.mixed and odd.values == ["9", packages[name], "0.1 (where vllm runs it)"]
    assert fact([changed(records[0], packages={**packages, name: "9"}), *records[1:]], name).mixed


def test_data_sets_measured_at_another_time_count_too():
    records = all_records(models=("m",), ratios=(0.2,))
    machine, git = {**records[0].provenance["machine"], "cpu": "Another CPU"}, {"commit": "b" * 40, "dirty": False}
    measured = {"text": {"date": "2025-03-04T05:06:07+00:00", "seconds": 1.0, "peak_memory_bytes": 1, "machine": machine, "git": git}}
    found = [changed(records[0], measured=measured), *records[1:]]
    assert fact(found, "measured").values == ["2025-03-04T05:06:07+00:00 to 2026-01-02T03:04:05+00:00"]
    assert fact(found, "processor").mixed and "Another CPU, 2 cores" in fact(found, "processor").values
    assert not fact(found, "git").mixed, "the code that measures was the same"


def test_no_records_no_facts():
    assert facts([]) == []


def test_what_is_stored_dense_is_counted_in_matrices_and_is_not_past_break_even():
    plan = make_plan("docs-mha", "d-rank", 0.2)
    groups = [
        replace(group, dense=group.shape.role == "v", rank=group.shape.max_rank if group.shape.role in ("v", "o") else group.rank)
        for group in plan.groups
    ]
    numbers = list(per_model(summarise(all_records(models=("docs-mha",), kinds=("perplexity",)), METHODS)))
    rows = dict(sizes(numbers, [replace(plan, groups=tuple(groups))], lambda model, method, ratio: f"#{method}/{ratio:g}"))["docs-mha"]
    row = next(row for row in rows if (row["method"], row["asked"]) == ("D-Rank", "20\u202f%"))
    assert row["dense"] == "8 of 56 (V)", "two layers a group"
    assert row["past"] == "8 of 36 (O)", "factors that hold more than their matrices"
    assert row["address"] == "#d-rank/0.2"
    assert {other["dense"] for other in rows if other is not row} == {""}, "without a plan nothing is known"
