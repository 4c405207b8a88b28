"""Every artefact of the default configuration: made of planted records, plans and spectra, and another when one of these is."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drank.config import read_config, read_schema, with_beginnings, with_defaults
from drank.config.artefacts import Runs
from drank.reporting.artefact import exhibit_of, figures_of, material_of, tables_of, write
from drank.reporting.manuscript import macros, manuscript
from drank.reporting.records import Result
from drank.reporting.summary import summarise
from tests.unit.configurations import ROOT
from tests.unit.records_fixture import SHA, TASKS, make_plan, make_spectrum, perplexity_record, throughput_record, zeroshot_record

CONFIG = with_defaults(read_config(ROOT / "config/config.yaml"), read_schema(ROOT / "workflow/schemas/config.schema.yaml"))
CONFIG = with_beginnings(CONFIG, "docs-mha")  # records tell what it comes to, the same for all models
RUNS = Runs(CONFIG)


def with_more_than_perplexity(record):
    """The record with a divergence from the dense model, that of dense without it, and losses by position that follow its perplexity."""
    own = {row.dataset: row.value for row in record.results if row.metric == "perplexity"}
    gaps = (
        () if record.method == "dense" else [Result(name, "kl_to_dense", value / 50, value / 60, value / 40) for name, value in own.items()]
    )
    bands = {
        name: [{"first": first, "last": last, "loss": math.log(value) + extra} for first, last, extra in ((1, 32, 0.5), (33, 255, 0))]
        for name, value in own.items()
    }
    detail = {name: told | {"loss_by_position": bands[name]} for name, told in record.detail.items()}
    return replace(record, results=(*record.results, *gaps), detail=detail)


def chosen_in(correct):
    """Answers of which these are correct: the first choice, or one of three others."""
    return [0 if right else 1 + place % 3 for place, right in enumerate(correct)]


def records_of(cell):
    """What is measured of a run, with a text of validation, under the names of the configuration's tasks."""
    model, label, ratio = cell[0], cell[1], float(cell[2])
    method, wanted = RUNS.methods[model][label], RUNS.wanted[cell]
    text, answers = with_more_than_perplexity(perplexity_record(model, label, ratio)), zeroshot_record(model, label, ratio)
    docs = [replace(row, dataset="python-docs.validation", value=row.value * 1.01) for row in text.results[:2]]
    text = replace(text, results=(*text.results, *docs), detail=text.detail | {"python-docs.validation": text.detail["python-docs"]})
    names = dict(zip(TASKS, CONFIG["zeroshot"]["tasks"], strict=True)) | {"average": "average"}
    answers = replace(
        answers,
        results=tuple(replace(row, dataset=names[row.dataset]) for row in answers.results),
        detail={names[task]: told | {"chosen": chosen_in(told["correct"])} for task, told in answers.detail.items()},
    )
    found = {"perplexity": text, "zeroshot": answers, "throughput": throughput_record(model, label, ratio)}
    calibration = CONFIG["calibration"] | (method.calibration or {}) | {"text_sha256": SHA}
    return [
        replace(
            record,
            provenance=record.provenance | {"method": method.settings(ratio), "calibration": calibration if method.compresses else None},
        )
        for kind, record in found.items()
        if wanted[kind]
    ]


def planted():
    """All records, plans and spectra of the configuration's runs."""
    records = [record for cell in RUNS.wanted for record in records_of(cell)]
    plans, spectra = [], {}
    for model, label, ratio in RUNS.wanted:
        method = RUNS.methods[model][label]
        if method.compresses and not method.control:
            text = {**CONFIG["calibration"], **(method.calibration or {})}
            plan = replace(
                make_plan(model, label, float(ratio), group=method.group), settings=method.settings(float(ratio)), calibration=text
            )
            plans.append(plan)
            if method.allocator == "effective-rank":
                spectra[model, method.spectrum] = make_spectrum(model, method.group) | {"spectrum": method.spectrum, "calibration": text}
    return records, plans, list(spectra.values())


RECORDS, PLANS, SPECTRA = planted()


def told(name):
    artefact = RUNS.artefacts[name]
    methods = {(point.model, RUNS.methods[point.model][point.label]) for point in artefact.points}
    spectra = {f"{model}/{method.spectrum}" for model, method in methods if method.allocator == "effective-rank"}
    return artefact.told() | {"notes": dict.fromkeys(artefact.models, ""), "spectra": sorted(spectra)}


def material(name, records=RECORDS, plans=PLANS, spectra=SPECTRA):
    places = {(row["model"], row["label"], row["ratio"]) for row in told(name)["rows"]}
    own = [record for record in records if (record.model, record.method, record.ratio) in places]
    return material_of(told(name), summarise(own, list(CONFIG["methods"]), list(CONFIG["models"])), own, spectra, plans)


def printed(name, folder, **parts):
    """The bytes of every file of an artefact, by file."""
    files = [folder / file for file in RUNS.artefacts[name].files]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    write(told(name), material(name, **parts), [str(file) for file in files])
    return {file.relative_to(folder): file.read_bytes() for file in files}


def changed_in(record):
    """A record with another number for everything: half the perplexity, other losses, fewer answers and others, half the speed."""
    rows = []
    for row in record.results:
        scale = 0.9 if row.metric == "accuracy" else 0.5
        ends = {name: value * scale for name in ("ci_low", "ci_high") if (value := getattr(row, name)) is not None}
        rows.append(Result(**{**row.__dict__, "value": row.value * scale, **ends}))
    detail = record.detail
    if record.kind == "perplexity":
        more = {name: (np.array(text["window_loss"]) - 30).tolist() for name, text in detail.items()}
        bands = {name: [band | {"loss": band["loss"] / 2} for band in text["loss_by_position"]] for name, text in detail.items()}
        detail = {name: text | {"window_loss": more[name], "loss_by_position": bands[name]} for name, text in detail.items()}
    if record.kind == "zeroshot":
        wrong = {name: [0] * 40 + task["correct"][40:] for name, task in detail.items()}
        detail = {name: task | {"correct": wrong[name], "chosen": chosen_in(wrong[name])} for name, task in detail.items()}
    return replace(record, results=tuple(rows), detail=detail)


@pytest.mark.parametrize("name", RUNS.artefacts)
def test_a_changed_record_changes_every_file_that_quotes_it(name, tmp_path):
    artefact = RUNS.artefacts[name]
    before = printed(name, tmp_path / "before")
    assert all(before.values())
    place = next(point for point in reversed(artefact.points) if not RUNS.methods[point.model][point.label].control and point.ratio > 0)
    changed = {}
    if artefact.kinds:
        at = (place.model, place.label, place.ratio)
        changed["records"] = [changed_in(one) if (one.model, one.method, one.ratio) == at else one for one in RECORDS]
    elif "spectra" in artefact.layout.reads:
        changed["spectra"] = [
            spectrum | {"groups": [{**g, "effective_rank": 2 * g["effective_rank"]} for g in spectrum["groups"]]} for spectrum in SPECTRA
        ]
    else:
        changed["plans"] = [replace(plan, groups=tuple(replace(g, rank=g.rank + 3) for g in plan.groups)) for plan in PLANS]
    after = printed(name, tmp_path / "after", **changed)
    others = {f"{name}-{model}" for model in artefact.models if model != place.model} if artefact.kinds else set()
    wrapper = f"results/tables/{name}.tex"  # a float holds the caption, the numbers are in the bare tabular
    same = {str(file) for file in before if before[file] == after[file]} - {wrapper}
    assert not [file for file in same if file.split("/")[-1].partition(".")[0] not in others], same


def test_a_caption_of_the_configuration_stands_instead_of_the_usual_one():
    for name in ("table3", "table6", "figure5"):
        one = told(name)
        one["options"] = {**one["options"], "caption": "Mine."}
        assert {made.caption for made in (*tables_of(one, material(name)), *figures_of(one, material(name)).values())} == {"Mine."}


def test_a_figure_of_one_model_stands_in_a_column_with_the_caption_of_its_picture():
    exhibit = exhibit_of(told("figure5"), material("figure5"), {"figure5-docs-mha": "What is drawn."})
    assert (exhibit.path, exhibit.width, exhibit.caption) == ("figures/figure5-docs-mha.pdf", "column", "What is drawn.")
    exhibit = exhibit_of(told("figure2"), material("figure2"), {"figure2": "Both."})
    assert (exhibit.path, exhibit.width, exhibit.caption) == ("figures/figure2.pdf", "page", "Both.")


def test_an_average_stands_only_beside_all_that_it_is_of():
    one = told("table4")
    places = {(row["model"], row["label"], row["ratio"]) for row in one["rows"]}
    own = [record for record in RECORDS if (record.model, record.method, record.ratio) in places]
    whole = material_of(one, summarise(own)).numbers
    assert "average" in set(whole["dataset"]) and "python-code" not in set(whole["dataset"])
    few = material_of({**one, "shown": ["python-docs", "docs-summary"]}, summarise(own)).numbers
    assert set(few.loc[few["metric"] == "accuracy", "dataset"]) == {"docs-summary"}


SHOWN = ("table6", "steps", "cost")


def test_a_changed_record_changes_numbers_and_manuscript():
    def text(records):
        made = {name: material(name, records) for name in SHOWN}
        own = [record for record in records if (record.model, record.method) in {("docs-mha", "dense"), ("docs-mha", "l-rank")}]
        exhibits = [exhibit_of(told(name), made[name], {}) for name in SHOWN]
        return macros(made), manuscript(exhibits, summarise(own), own, [], {})

    numbers, article = text(RECORDS)
    assert all(f"{{{name}/" in numbers for name in SHOWN)
    at = ("docs-mha", "l-rank", 0.2)
    other_numbers, other_article = text([changed_in(one) if (one.model, one.method, one.ratio) == at else one for one in RECORDS])
    assert numbers != other_numbers and article != other_article


def test_what_is_timed_in_a_variant_has_its_memory_beside_it():
    known = told("timings")
    own = summarise(RECORDS, list(CONFIG["methods"]), list(CONFIG["models"]))
    fused = own[own["dataset"].isin(["decode", "memory"])].assign(dataset=lambda rows: rows["dataset"] + "-fused")
    both = pd.concat([own, fused], ignore_index=True)
    assert "memory-fused" not in set(material_of(known, both).numbers["dataset"])
    assert {"memory", "memory-fused"} <= set(material_of(known | {"shown": [*known["shown"], "decode-fused"]}, both).numbers["dataset"])
