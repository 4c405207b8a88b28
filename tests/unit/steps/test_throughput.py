"""One job times its models beside the dense one, and says what two timings of one computation differ by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from drank.evaluation import ceilings
from drank.methods import METHODS
from drank.models.checkpoint import load_model
from drank.reporting.records import Record
from drank.steps import throughput
from tests.unit.steps.measuring import described
from tests.workflow.runs import write_model

SIZES = {"batch": 1, "prompt": 4, "generate": 2, "repeats": 3}
TWINS = ("one", "two")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The dense model, two of a smaller shape with other weights, and one of a shape of its own."""
    folder = tmp_path_factory.mktemp("timed")
    write_model(folder / "model")
    described(folder)
    torch.manual_seed(1)
    for name, layers in (("one", 1), ("two", 1), ("three", 2)):
        model = load_model(folder / "model")
        model.model.layers = model.model.layers[:layers]
        model.config.num_hidden_layers = layers
        torch.nn.init.normal_(model.model.layers[0].mlp.up_proj.weight)
        model.save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """Ceilings of little, which take no time."""
    monkeypatch.setattr(ceilings, "LEAST", {"cpu": 2**20})
    monkeypatch.setattr(ceilings, "LONG", 0.0)


@pytest.fixture
def seconds(monkeypatch):
    """Timings that follow from the names: twins take 2 and 3 seconds, a second timing of one model takes 5 quarters of the first."""
    batches = []
    measure = throughput.measure

    def timed(models, **sizes):
        batches.append(list(models))
        took = {name: {"one": 2.0, "two": 3.0}.get(name, 5.0 if "again" in name else 4.0) for name in models}
        return {
            name: replace(found, seconds={phase: [took[name]] * 3 for phase in throughput.PHASES})
            for name, found in measure(models, **sizes).items()
        }

    monkeypatch.setattr(throughput, "measure", timed)
    return batches


def run(folder, place, names, beside=True, ratio="0.2", threads=1, sizes=SIZES, **options):
    """The records of models by name; `dense` is the source file."""
    source = str(folder / "source.json")
    sources = {"dense": source, "other": str(folder / "other.json")}
    throughput.run(
        place,
        names={"model": "tiny", "ratio": ratio},
        models={name: sources.get(name, str(folder / name)) for name in names},
        throughput=sizes,
        dense=METHODS["dense"].settings(),
        places={"source": {"path": str(folder / "model")}, "other": {"path": str(folder / "one")}},
        beside=source if beside else None,
        compute={"device": "cpu", "dtype": "float32"},
        threads=threads,
        **options,
    )
    records = {path.stem: Record.read(path) for path in place.iterdir()}
    assert set(records) == set(names), "what was timed beside them has no record"
    return records


def numbers(record):
    return {(row.dataset, row.metric): row.value for row in record.results}


def test_twins_give_the_noise_and_dense_is_timed_beside_them(folder, tmp_path, seconds):
    records = run(folder, tmp_path / "out", TWINS)
    assert seconds == [["one", "two", "dense (reference)"]]
    one, two = (numbers(records[name]) for name in TWINS)
    assert one["prefill", "speedup_over_dense"] == 2.0 and two["prefill", "speedup_over_dense"] == pytest.approx(4 / 3)
    assert one["prefill", "noise_ratio"] == two["decode", "noise_ratio"] == pytest.approx(1.5)
    job = records["one"].detail["job"]
    assert (job["order"], job["reference"], list(job["twins"].values())) == ("in turn", "dense (reference)", [["one", "two"]])
    assert len(job["ceilings"]) == len(job["other_load"]) == 3 and job["threads_asked"] == 1
    assert [len(steps) for steps in records["one"].detail["decode"]["steps"]] == [2, 2, 2]
    stored = sum(tensor.numel() * 4 for tensor in load_model(folder / "one").state_dict().values())
    assert one["memory", "model_bytes"] >= stored and ("process", "peak_memory_bytes") not in one


def test_without_twins_dense_is_timed_twice(folder, tmp_path, seconds):
    records = run(folder, tmp_path / "out", ["dense", "one"], ratio="0")
    assert seconds == [["dense", "one", "dense (again)"]]
    assert numbers(records["one"])["decode", "noise_ratio"] == pytest.approx(1.25)
    assert ("decode", "speedup_over_dense") in numbers(records["one"]) and ("decode", "speedup_over_dense") not in numbers(records["dense"])


def test_without_dense_there_is_no_speedup_and_the_first_gives_the_noise(folder, tmp_path, seconds):
    records = run(folder, tmp_path / "out", ["three", "one"], beside=False)
    assert seconds == [["three", "one", "three (again)"]]
    assert numbers(records["three"])["decode", "noise_ratio"] == pytest.approx(1.25)
    assert not any(metric == "speedup_over_dense" for record in records.values() for _, metric in numbers(record))


def test_one_model_alone_is_timed_once(folder, tmp_path, seconds):
    (record,) = run(folder, tmp_path / "out", ["one"], beside=False).values()
    assert seconds == [["one"]] and ("decode", "noise_ratio") not in numbers(record)


def test_what_does_not_fit_memory_together_is_timed_one_after_the_other(folder, tmp_path, seconds, monkeypatch, caplog):
    records = run(folder, tmp_path / "little", TWINS, memory_mb=0)
    assert "one after the other" in caplog.text and "compute.memory_mb" in caplog.text
    assert seconds == [["one"], ["two"], ["dense (reference)"]]
    assert records["one"].detail["job"]["order"] == "one after the other" and numbers(records["one"])["machine", "in_turn"] == 0
    assert numbers(records["one"])["decode", "noise_ratio"] == pytest.approx(1.5)
    del seconds[:]
    monkeypatch.setattr(throughput, "free_memory", lambda _: 0)
    run(folder, tmp_path / "none", TWINS, memory_mb=8000)
    assert len(seconds) == 3


def test_every_number_of_a_phase_is_in_the_record(folder, tmp_path):
    (record,) = run(folder, tmp_path / "out", ["one"]).values()
    both = {"tokens_per_second", "speedup_over_dense", "roofline_share", "noise_ratio"}
    expected = {(phase, metric) for phase in throughput.PHASES for metric in both}
    expected |= {("prefill", "time_to_first_token"), ("decode", "time_per_token"), ("decode", "time_per_token_p90")}
    expected |= {("decode", "operations_per_token"), ("machine", "threads"), ("machine", "threads_asked"), ("machine", "in_turn")}
    expected |= {("memory", name) for name in ("model_bytes", "weight_bytes", "cache_bytes", "peak_tensor_bytes")}
    assert numbers(record).keys() - {("machine", "other_load"), ("machine", "crowded_rounds")} == expected
    assert all(value > 0 for place, value in numbers(record).items() if place[0] != "machine")


def test_where_others_would_hold_up_threads_all_models_are_timed_with_one(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(throughput, "check_cores", lambda _: None)
    monkeypatch.setattr(throughput, "settled", lambda threads, _: (1, 0.9))
    used = []
    measure = throughput.measure
    monkeypatch.setattr(throughput, "measure", lambda *given, **how: (used.append(torch.get_num_threads()), measure(*given, **how))[1])
    records = run(folder, tmp_path / "out", TWINS, threads=2)
    assert used == [1]
    for record in records.values():
        assert record.provenance["threads"] == 1
        assert (numbers(record)["machine", "threads"], numbers(record)["machine", "threads_asked"]) == (1, 2)
        assert record.detail["job"]["other_load_before"] == 0.9


def test_every_variant_is_timed_in_turn_with_the_dense_model_in_the_same(folder, tmp_path, seconds, monkeypatch):
    made = []
    prepared = throughput.prepared
    monkeypatch.setattr(throughput, "prepared", lambda model, variant: (made.append(variant), prepared(model, variant))[1])
    records = run(folder, tmp_path / "out", TWINS, sizes=SIZES | {"variants": ["plain", "fused"]})
    dense = "dense (reference)"
    assert seconds == [["one", "one-fused", "two", "two-fused", dense, f"{dense}-fused"]]
    assert made == ["plain", "fused"] * 3
    one = numbers(records["one"])
    assert one["decode", "speedup_over_dense"] == 2.0 and one["decode-fused", "speedup_over_dense"] == 1.0
    assert {dataset for dataset, _ in one} == {
        *("prefill", "decode", "memory", "prefill-fused", "decode-fused", "memory-fused", "machine"),
    }
    assert set(records["one"].detail) == {"prefill", "decode", "prefill-fused", "decode-fused", "execution", "execution-fused", "job"}
    assert [records["one"].detail[key]["variant"] for key in ("execution", "execution-fused")] == ["plain", "fused"]


def test_what_somebody_else_made_is_told_apart(folder, tmp_path):
    record = run_beside_dense(folder, tmp_path / "out", SIZES)
    assert record.provenance["checkpoint"]["source"] == {"path": "one"}
    assert record.size.ratio_model > 0 and record.size.ratio_stored is None


def run_beside_dense(folder, place, sizes):
    """The record of somebody else's checkpoint that is timed with the dense model."""
    described(folder, "other", "one")
    return run(folder, place, ["dense", "other"], ratio="0", sizes=sizes, theirs={"other": METHODS["dense"].settings()})["other"]
