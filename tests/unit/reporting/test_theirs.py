"""Somebody else's checkpoint in what is reported: counted as stored, compared with dense, and in no contest."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.measurement import Measurement
from drank.methods import Method
from drank.models.sources import describe_source
from drank.models.theirs import Theirs
from drank.reporting.records import Record, Size
from drank.reporting.records.subject import Subject
from drank.reporting.report import verdict
from drank.reporting.report.checks import checks
from drank.reporting.report.method_table import methods
from drank.reporting.summary import read_csv, summarise, write_csv
from drank.reporting.tables.numbers import Numbers
from drank.runtime.files import write_json
from tests.unit.records_fixture import KINDS, METHODS, SHA, all_records
from tests.unit.report_page import Page, page_of
from tests.unit.reporting.materials import caption_of, figure_of, legend
from tests.unit.reporting.tables_of import TABLES

METHOD = Method("theirs", weighting="identity", compresses=False, budgeted=False, checkpoint={"path": "models/theirs"})
SHAPE = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16}


def foreign(kind):
    """A record of a checkpoint that loses what SVD-LLM loses at 20 %."""
    one = KINDS[kind]("docs-mha", "svd-llm", 0.2)
    found = {"source": {"hub": "org/theirs", "revision": "c0ffee"}, "files": {"config.json": SHA}}
    told = {**one.provenance, "method": METHOD.settings(), "checkpoint": found, "calibration": None, "making": None}
    return replace(one, method="theirs", ratio=0.0, size=Size(4_000_000, 3_000_000, None, 0.35), provenance=told)


@pytest.fixture(scope="module")
def run():
    return [*all_records(models=("docs-mha",)), *map(foreign, KINDS)]


@pytest.fixture(scope="module")
def summary(run):
    return summarise(run, (*METHODS, "theirs"))


def test_it_is_compared_with_dense_alone_and_on_the_same_windows(run, summary):
    rows = summary[summary["method"] == "theirs"]
    assert set(rows["checkpoint"]) == {"org/theirs@c0ffee"} and set(summary[summary["method"] != "theirs"]["checkpoint"]) == {""}
    assert set(rows["ratio"]) == {0.0} and rows["ratio_stored"].isna().all() and set(rows["ratio_model"]) == {0.35}
    assert not [metric for metric in rows["metric"] if metric.endswith("svd-llm")]
    dense, theirs = (next(one for one in run if (one.kind, one.method) == ("perplexity", name)) for name in ("dense", "theirs"))
    for corpus in dense.detail:
        mean = {
            one.method: np.sum(one.detail[corpus]["window_loss"]) / np.sum(one.detail[corpus]["window_tokens"]) for one in (dense, theirs)
        }
        found = rows[rows["dataset"] == corpus].set_index("metric")["value"]
        assert found["log_perplexity_gap_to_dense"] == pytest.approx(mean["theirs"] - mean["dense"])
        assert found["perplexity_minus_dense"] == pytest.approx(np.exp(mean["theirs"]) - np.exp(mean["dense"]))
    assert {"accuracy_minus_dense", "speedup_over_dense"} <= set(rows["metric"])


def test_the_summary_comes_back_from_its_file(summary, tmp_path):
    write_csv(summary, tmp_path / "summary.csv")
    assert read_csv(tmp_path / "summary.csv").equals(summary)


def test_it_stands_below_dense_and_competes_nowhere(run, summary):
    alone = all_records(models=("docs-mha",))
    numbers, without = Numbers(summary, "docs-mha"), summarise(alone, METHODS)
    assert [entry.method for entry in numbers.theirs] == ["theirs"]
    assert numbers.ratios == [0.2, 0.4] and numbers.competing(0.0) == [] and "theirs" not in {entry.method for entry in numbers.controls}
    said = [line for line in verdict(summary, run) if not line.startswith("What none of these methods made")]
    assert said == verdict(without, alone) and checks([numbers], run) == checks([Numbers(without, "docs-mha")], alone)
    for name, first in (("main", ["Dense", "theirs"]), ("paired", ["theirs"]), ("throughput", ["Dense", "theirs"])):
        table = TABLES[name](summary, "docs-mha")
        assert [row[1].text for row in table.blocks[0]] == first and not any(cell.bold for row in table.blocks[0] for cell in row)
        assert "Measured beside the dense model, at no ratio of the run and in no contest: theirs." in table.caption
        assert "beside the dense" not in TABLES[name](without, "docs-mha").caption
    assert TABLES["throughput"](summary, "docs-mha").blocks[0][1][-1].text == "–", "what it removed from projections nobody knows"


def test_figures_against_the_ratio_leave_it_out_and_say_so(summary):
    for name in ("perplexity", "accuracy", "throughput"):
        assert "theirs" not in legend(figure_of(name, summary))
        assert "as somebody else's checkpoint at no ratio of the run: theirs" in caption_of(name, summary)
        assert "somebody" not in caption_of(name, summary[summary["method"] != "theirs"])


def test_the_report_says_whose_it_is(run):
    row = next(row for row in dict(methods(run, {}))["docs-mha"] if row.method == "theirs")
    assert row.source == "somebody else's checkpoint: org/theirs@c0ffee" and (row.ranks, row.reads, row.follows, row.texts) == ("",) * 4
    page = Page(page_of(run, (*METHODS, "theirs"), tables=TABLES))
    assert not page.wrong and "nan" not in page.text and "somebody else's checkpoint: org/theirs@c0ffee" in page.text


def test_a_run_of_dense_and_a_checkpoint_has_a_page(run):
    page = Page(page_of([one for one in run if one.method in ("dense", "theirs")], ("dense", "theirs"), tables=TABLES))
    assert not page.wrong and "there is no winner" in page.text and "nan" not in page.text


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def measured(folder, **changes):
    """The record of a float16 model of one layer, with changes in its config, beside a float32 one of two, and the parameters of both."""
    models, places = {}, {name: {"path": str(folder / name)} for name in ("dense", "theirs")}
    for name, layers, dtype in (("dense", 2, torch.float32), ("theirs", 1, torch.float16)):
        models[name] = LlamaForCausalLM(LlamaConfig(vocab_size=11, **{**SHAPE, "num_hidden_layers": layers})).to(dtype)
        models[name].save_pretrained(folder / name)
        write_json(folder / f"{name}.json", describe_source({"path": str(folder / name)}, name))
    subject = MeasuredModel.of(folder / "theirs.json", {"device": "cpu", "dtype": "float32"}, 1, places)
    config = json.loads((folder / "theirs/config.json").read_text())
    (folder / "theirs/config.json").write_text(json.dumps(config | changes))
    (folder / "theirs/plan.json").write_text("of another tool")
    label = {"model": "tiny", "method": "theirs", "ratio": "0"}
    row = {"dataset": "text", "metric": "accuracy", "value": 0.5}
    found = Measurement("zeroshot", [row], {}, subject.taken(), {})
    theirs = Theirs.of(folder / "theirs.json", folder / "dense.json", places)
    record = Subject(subject.directory, label, METHOD.settings(), theirs).record(found)
    return Record.from_dict(record.to_dict()), parameters(models["theirs"]), parameters(models["dense"])


def test_its_size_is_in_the_precision_of_the_run_and_its_ratio_by_parameters(tmp_path):
    record, count, whole = measured(tmp_path)
    assert record.size == Size(count, 4 * count, None, 1 - count / whole)
    told = record.provenance
    assert told["method"] == METHOD.settings() | {"checkpoint": {"path": "theirs"}} and told["checkpoint"]["source"] == {"path": "theirs"}
    assert set(told["checkpoint"]["files"]) == {"config.json", "generation_config.json", "model.safetensors"}
    assert told["making"] is told["calibration"] is None, "a plan in its folder is not ours to read"


def test_the_ratio_of_a_quantised_one_is_by_bytes(tmp_path):
    record, count, whole = measured(tmp_path, quantization_config={"quant_method": "gptq"})
    assert record.size == Size(count, 2 * count, None, 1 - 2 * count / (4 * whole))
