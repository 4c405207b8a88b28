"""Tables of a run: what they hold and mark, in LaTeX, HTML and CSV, and where there is nothing to show."""

import io
import re
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.names import is_control, method_name, refusals
from drank.reporting.summary import summarise
from drank.reporting.tables import write
from drank.reporting.tables.floats import wrapper
from drank.reporting.tables.numbers import Numbers
from tests.unit.records_fixture import CORPORA, METHODS, TASKS, all_records, perplexity_record, zeroshot_record
from tests.unit.reporting.tables_of import TABLES, answers_table, main_table, paired_table


@pytest.fixture(scope="module")
def summary():
    return summarise(all_records(), METHODS, ("docs-mha", "docs-gqa"))


def body(table):
    """The rows of the LaTeX tabular as lists of cells."""
    text = table.to_latex().split("\\midrule", 1)[1].split("\\bottomrule")[0]
    return [[cell.strip() for cell in line.replace("\\\\[2pt]", "").rstrip("\\ ").split("&")] for line in text.splitlines() if "&" in line]


def test_main_table_has_the_shape_of_table_3(summary):
    table = main_table(summary, "docs-mha")
    assert [column.label for column in table.columns] == ["Ratio", "Method", *CORPORA, *TASKS, "average"]
    assert [(block[0][0].text, len(block)) for block in table.blocks] == [
        ("0\u202f%", 1),
        ("20\u202f%", 4),
        ("40\u202f%", 4),
        ("0\u202f%", 4),
    ]
    assert [row[1] for row in body(table)][:5] == ["Dense", "SVD", "SVD-LLM", "Basis Sharing", "D-Rank"]
    assert [row[1] for row in body(table)][-4:] == ["Full rank", "Random ranks", "Random ranks", "Chance"]
    assert [text for text, _ in table.groups] == ["", "Perplexity\u00a0↓", "Accuracy (%)\u00a0↑"]


def test_numbers_are_printed_rounded_and_kept_whole(summary):
    record = perplexity_record("docs-mha", "d-rank", 0.4)
    table = main_table(summary, "docs-mha")
    row = table.frame[(table.frame["method"] == "d-rank") & (table.frame["ratio"] == 0.4)].iloc[0]
    assert row["perplexity python-docs"] == record.results[0].value
    assert row["perplexity python-docs ci_low"] == record.results[0].ci_low
    printed = next(cells for cells in body(table) if cells[1] == "D-Rank" and f"{record.results[0].value:.2f}" in cells[2])
    assert f"{record.results[2].value:.2f}" in printed[3]
    read = pd.read_csv(io.StringIO(table.to_csv()))
    pd.testing.assert_frame_equal(read, table.frame, check_dtype=False, check_exact=True)


def test_accuracy_alone_and_perplexity_alone_make_tables():
    for kind, label in (("perplexity", "Perplexity of"), ("zeroshot", "Zero-shot accuracy of")):
        table = main_table(summarise(all_records(kinds=(kind,)), METHODS), "docs-mha")
        assert table.caption.startswith(label)
        assert {column.group for column in table.columns[2:]} == {"Perplexity" if kind == "perplexity" else "Accuracy (%)"}


def test_what_was_not_measured_is_a_dash():
    records = [perplexity_record("m", "dense", 0.0), zeroshot_record("m", "dense", 0.0), perplexity_record("m", "svd", 0.2)]
    row = next(row for row in body(main_table(summarise(records), "m")) if row[1] == "SVD")
    assert row[5:] == ["--"] * 5


def test_paired_table_marks_what_is_significantly_better(summary):
    table = paired_table(summary, "docs-mha")
    rows = {(row[0].text, row[1].text): row for row in table.blocks[0]}
    cells = rows["", "D-Rank"]
    assert all(cell.bold for cell in cells[-4:])
    assert not any(cell.bold for cell in cells[:-4])
    assert cells[2].text.startswith("+")
    assert cells[6].text.startswith("−")
    assert rows["", "SVD-LLM"][6].text == "–"
    worse = summary.copy()
    worse.loc[worse["metric"] == "perplexity_minus_svd-llm", "ci_high"] = 0.1
    assert not any(cell.bold for block in paired_table(worse, "docs-mha").blocks for row in block for cell in row[6:9])


def test_answers_that_changed_stand_beside_those_that_are_right():
    """Of 8 items dense has 4 right; D-Rank too, but of these it loses 2 and wins 2, and one wrong answer is another."""
    sides = {"dense": ([1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]), "d-rank": ([1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 2, 2, 0, 0, 1, 3])}
    records = []
    for method, (correct, chosen) in sides.items():
        record = zeroshot_record("m", method, 0.0 if method == "dense" else 0.2)
        row = replace(record.results[0], value=sum(correct) / 8)
        records.append(replace(record, results=(row,), detail={row.dataset: {"version": 1.0, "correct": correct, "chosen": chosen}}))
    table = answers_table(summarise(records), "m")
    assert table.labels[2:] == ["right\u00a0↑", "flips\u00a0↓", "other\u00a0↓"] and table.groups[-1] == ("continuation", 3)
    assert [[cell.text for cell in row] for block in table.blocks for row in block] == [
        ["0\u202f%", "Dense", "50.0", "–", "–"],
        ["20\u202f%", "D-Rank", "50.0", "50.0", "62.5"],
    ]
    assert "right ones; flips, of which either this model or the dense one is right and not both; and those other than" in table.caption
    alone = answers_table(summarise(records[1:]), "m")
    assert alone.labels[2:] == ["right"] and alone.caption.startswith("Answers of m in percent of the items: right ones. The ratio")


@pytest.mark.parametrize("name", TABLES)
def test_tables_without_their_numbers_say_so(name):
    other = {"main": "throughput", "paired": "throughput", "throughput": "perplexity"}[name]
    table = TABLES[name](summarise(all_records(kinds=(other,))), "docs-mha")
    assert table.caption.startswith("Nothing to show of docs-mha")
    assert table.blocks == ()
    assert table.frame.empty
    assert table.empty
    assert not TABLES[name](summarise(all_records()), "docs-mha").empty


def test_an_unknown_model_is_named(summary):
    with pytest.raises(ValueError, match="no rows of model 'docs'; it has docs-mha, docs-gqa"):
        Numbers(summary, "docs")


def test_unknown_methods_are_escaped_and_compete(summary):
    renamed = summary.assign(method=summary["method"].replace({"d-rank": "d_rank & β=0"}))
    table = main_table(renamed, "docs-mha")
    assert "d\\_rank \\& " in table.to_latex()
    assert "d_rank &amp; β=0" in table.to_html()
    assert method_name("d-rank") == "D-Rank"
    assert not is_control("d_rank & β=0")


def test_models_with_names_html_and_latex_would_take_for_code(summary):
    odd = summary.assign(model="<b>a_b</b>")
    table = main_table(odd, "<b>a_b</b>")
    assert "<b>a_b" not in table.to_html()
    assert "a\\_b" in wrapper([table])


def test_written_tables_are_files(tmp_path, summary):
    tables = [main_table(summary, model) for model in ("docs-mha", "docs-gqa")]
    write(tables, tmp_path / "table3.tex")
    for table in tables:
        assert (tmp_path / f"{table.name}.csv").read_text() == table.to_csv()
        tabular = (tmp_path / f"{table.name}.tabular.tex").read_text("utf-8")
        assert tabular.startswith("\\begin{tabular}") and tabular.endswith("\\end{tabular}\n")
    floats = (tmp_path / "table3.tex").read_text("utf-8")
    assert re.findall(r"input{\\dranktables (.+?)}", floats) == ["main-docs-mha.tabular.tex", "main-docs-gqa.tabular.tex"]


def test_tables_figures_and_report_import_no_torch():
    modules = "drank.reporting.tables, drank.reporting.figures, drank.reporting.report"
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'transformers', 'lm_eval'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_methods_that_do_not_apply_are_named_with_their_reason_in_the_caption(summary):
    reasons = {"d-rank": "beta 0.3 needs separate q, k and v projections", "wide": "groups of 9 layers"}
    table = main_table(summary, "docs-mha").noted(refusals(reasons))
    note = "Not applicable: D-Rank (beta 0.3 needs separate q, k and v projections); wide (groups of 9 layers)."
    assert table.caption.endswith(note)
    assert note in wrapper([table]) and note in table.to_html()
    assert refusals({}) == ""
    assert table.noted("") is table
