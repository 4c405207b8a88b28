"""The manuscript and its macros: every number comes out of records, and what the text says follows from them."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.manuscript import Exhibit, macros, manuscript
from drank.reporting.manuscript.quotes import quotes
from drank.reporting.manuscript.references import references
from drank.reporting.manuscript.results import sentence
from drank.reporting.material import Material, numbers_of
from drank.reporting.names import method_name
from drank.reporting.report.checks import checks
from drank.reporting.summary import summarise
from drank.reporting.tables import write
from drank.reporting.tables.numbers import per_model
from tests.unit.latex import needs_latex, typeset
from tests.unit.records_fixture import METHODS, all_records, make_plan, make_spectrum, perplexity_record
from tests.unit.reporting.tables_of import TABLES, main_table

MODELS = ("docs-mha", "docs-gqa")
PLACE = "docs-mha/d-rank/0.2/python-docs/perplexity"


def material_of(summary, name="made", **more):
    """All numbers of a summary as the material of one artefact."""
    return Material(name, summary.rename(columns={"method": "label"}).assign(method=summary["method"]), **more)


def exhibits_of(summary, folder="tables"):
    """A table of every kind, and a figure of everything else."""
    tables = {name: [make(summary, model) for model in MODELS] for name, make in TABLES.items()}
    found = [Exhibit(name, f"{folder}/{name}.tex", material_of(summary), made) for name, made in tables.items()]
    deep = {"spectra": [make_spectrum("docs-mha")], "plans": [make_plan("docs-mha", "d-rank", 0.4)]}
    return [*found, Exhibit("depth", "depth.pdf", Material("depth", pd.DataFrame(), **deep), caption="Ranks of a_b, 50 %.", width="page")]


def written(records):
    """The manuscript and the macros of these records."""
    summary = summarise(records, METHODS, MODELS)
    exhibits = exhibits_of(summary)
    text = manuscript(exhibits, summary, records, checks(list(per_model(summary)), records))
    return text, macros({exhibit.name: exhibit.material for exhibit in exhibits})


@pytest.fixture(scope="module")
def paper(records):
    return written(records)


def quoted(text):
    return set(re.findall(r"\\drank{([^}]+)}", text))


def defined(text):
    return dict(re.findall(r"\\dranknumber{([^}]+)}{(.*)}$", text, re.MULTILINE))


def test_every_number_that_the_text_quotes_is_defined(paper):
    text, numbers = paper
    assert quoted(text) and quoted(text) <= defined(numbers).keys()
    assert {key.partition("/")[0] for key in quoted(text)} == {"main", "paired", "throughput", "depth"}


def test_numbers_are_those_of_the_records_as_tables_print_them(paper):
    row = perplexity_record("docs-mha", "d-rank", 0.2).results[0]
    dense = perplexity_record("docs-mha", "dense", 0.0).results[0]
    found = defined(paper[1])
    assert found[f"main/{PLACE}"] == f"{row.value:.2f}"
    assert found[f"main/{PLACE}/low"] == f"{row.ci_low:.2f}" and found[f"main/{PLACE}/high"] == f"{row.ci_high:.2f}"
    assert found["main/docs-mha/d-rank/0.2/python-docs/over-dense"] == f"{100 * (row.value / dense.value - 1):.1f}"
    assert found["main/docs-mha/d-rank/0.2/size/parameters"] == "5.04"
    assert {"main/docs-mha/d-rank/0.2/average/accuracy_minus_dense", "depth/docs-mha/d-rank/0.4/v.00-01/rank"} <= found.keys()


def test_a_changed_record_changes_macros_and_text(records, paper):
    damaged = {one.ratio: perplexity_record("docs-mha", "svd", one.ratio, damage=0.01) for one in records if one.ratio}
    changed = [damaged[one.ratio] if (one.kind, one.model, one.method) == ("perplexity", "docs-mha", "svd") else one for one in records]
    text, numbers = written(changed)
    number = "main/docs-mha/svd/0.2/python-docs/perplexity"
    assert defined(numbers)[number] == f"{damaged[0.2].results[0].value:.2f}" != defined(paper[1])[number]
    assert "D-Rank has the lowest perplexity in all 12 comparisons" in paper[0]
    assert "after Holm's correction tells the best apart from the second in 12 of 12 comparisons." in paper[0]
    assert re.search(r"has the lowest perplexity in 6 of 12 comparisons: .* with SVD,", text)


def test_every_exhibit_is_referred_to_and_empty_ones_are_not_there(records, paper):
    summary = summarise(records, METHODS)
    assert set(re.findall(r"\\ref{([^}]+)}", paper[0])) == {label for one in exhibits_of(summary) for label in one.labels}
    bare = summarise(all_records(kinds=("throughput",)), METHODS)
    empty = Exhibit("main", "tables/main.tex", material_of(bare), [main_table(bare, "docs-mha")])
    text = manuscript([empty], bare, all_records(kinds=("throughput",)), [])
    assert "tables/main.tex" not in text and "Perplexity" not in text


def test_what_is_published_stands_beside_ours(records):
    summary = summarise(records, METHODS, MODELS)
    place = {"model": "docs-mha", "method": "d-rank", "ratio": 0.2, "dataset": "python-docs", "metric": "perplexity"}
    material = material_of(summary, published=pd.DataFrame([place | {"value": 7.45}]))
    known = quotes({"t": material})
    assert known[f"t/{PLACE}/published"] == "7.45"
    text = sentence(Exhibit("t", "t.tex", material, [main_table(summary, "docs-mha")]), known)
    assert f"with D-Rank (published: \\drank{{t/{PLACE}/published}})" in text


def test_an_axis_is_told_from_its_best_value_to_its_worst():
    hurt = {0.2: 0.9, 0.3: 0.7, 0.4: 0.8}
    variants = [replace(perplexity_record("m", "d-rank", 0.2, damage=hurt[beta]), method=f"d-rank+beta={beta}") for beta in hurt]
    summary = summarise([perplexity_record("m", "dense", 0.0), *variants])
    points = [{"model": "m", "method": "d-rank", "label": f"d-rank+beta={beta}", "ratio": 0.2, "beta": beta} for beta in hurt]
    material = Material("table5", numbers_of(summary, points), axes=("beta",))
    text = sentence(Exhibit("table5", "t.pdf", material, quantities=["perplexity"]), quotes({"table5": material}))
    told = re.search(r"over 3 values of \$\\beta\$, .+? goes from .*?beta=(.+?)/0.2/.+? to .*?beta=(.+?)/0.2/", text)
    assert told and told.groups() == ("0.3", "0.2")


def test_a_number_that_no_macro_has_is_named(records):
    exhibit = Exhibit("main", "t.pdf", material_of(summarise(records, METHODS)), quantities=["speedup_over_dense"])
    with pytest.raises(KeyError, match=r"main/docs-.*/speedup_over_dense, which is no number of main"):
        sentence(exhibit, {})


def test_references_are_the_papers_of_the_methods_once():
    text = references(["dense", "d-rank", "d-rank+group=3", "svd-llm", "asvd", "asvd-search"])
    assert re.findall(r"bibitem{(.+?)}", text) == ["arXiv-2509.25622", "arXiv-2403.07378", "arXiv-2312.05821"]
    assert references(["dense", "somebody"]) == ""


@needs_latex
def test_the_manuscript_is_typeset_and_prints_the_numbers(tmp_path, records, paper):
    from matplotlib.figure import Figure

    summary = summarise(records, METHODS, MODELS)
    (tmp_path / "tables").mkdir()
    for exhibit in exhibits_of(summary):
        if exhibit.tables:
            write(exhibit.tables, tmp_path / exhibit.path)
    Figure(figsize=(6, 2)).savefig(tmp_path / "depth.pdf")
    (tmp_path / "numbers.tex").write_text(paper[1], "utf-8")
    printed = typeset(tmp_path, "manuscript", paper[0])
    assert f"{perplexity_record('docs-mha', 'd-rank', 0.2).results[0].value:.2f} with D-Rank" in " ".join(printed.split())
    assert "References" in printed and "Limitations" in printed


@needs_latex
def test_an_unknown_key_stops_latex_and_is_named(tmp_path, paper):
    (tmp_path / "numbers.tex").write_text(paper[1], "utf-8")
    text = "\\documentclass{article}\\input{numbers.tex}\\begin{document}\\drank{main/none}\\end{document}"
    with pytest.raises(AssertionError, match="There is no number main/none"):
        typeset(tmp_path, "wrong", text)


def test_the_fastest_is_of_what_competes():
    """Neither a control nor somebody else's checkpoint, which is at no ratio of the run."""
    material = material_of(summarise(all_records(("m",), kinds=("throughput",)), METHODS))
    numbers = material.numbers
    control = numbers["label"] == "random-ranks"
    theirs = numbers[(numbers["label"] == "d-rank") & (numbers["ratio"] == 0.4)]
    theirs = theirs.assign(label="theirs", method="theirs", ratio=0.0, checkpoint="org/theirs", value=9 * theirs["value"])
    made = replace(material, numbers=pd.concat([numbers.assign(value=numbers["value"].mask(control, 9 * numbers["value"])), theirs]))
    text = sentence(Exhibit("t", "t.pdf", made, quantities=["speedup_over_dense"]), quotes({"t": made}))
    rows = numbers[(numbers["metric"] == "speedup_over_dense") & numbers["label"].isin(["svd", "svd-llm", "basis-sharing", "d-rank"])]
    for phase in ("prefill", "decode"):
        best = rows.loc[rows.loc[rows["dataset"] == phase, "value"].idxmax()]
        assert re.search(rf"he fastest {phase}, by {re.escape(method_name(best['label']))} at {100 * best['ratio']:g}\\,\\% \(m\)", text)
