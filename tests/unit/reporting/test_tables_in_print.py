"""Tables in print: they fit the columns of anybody's article, whatever they hold, and lose nothing on the way."""

from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.names import hyphenated
from drank.reporting.summary import summarise
from drank.reporting.tables import write
from drank.reporting.tables.fitting import COLUMN, HEIGHT, TEXT, fit
from drank.reporting.tables.floats import bare, label, wrapper
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.measure import SIZES, height, width
from tests.unit.latex import ARTICLES, needs_latex, typeset
from tests.unit.records_fixture import METHODS, all_records
from tests.unit.reporting.tables_of import TABLES

TASKS = ("openbookqa", "arc_easy", "winogrande", "hellaswag", "arc_challenge", "piqa", "mathqa")


def table_of(columns, rows=5, name="made", text="20061"):
    """A table of numbers, the first two columns naming the rows."""
    block = tuple((Cell("" if row else "20\u202f%"), Cell(f"Method {row}"), *(Cell(text) for _ in columns)) for row in range(rows))
    heads = (Column("Ratio", align="l"), Column("Method", align="l"))
    return Table(name, "m", "Numbers of a_b & 50%.", (*heads, *columns), (block,), pd.DataFrame())


def main_of_the_paper():
    """A table as wide as table 3 of the paper: three corpora, seven tasks and their average."""
    corpora = [Column(name, "Perplexity", "low") for name in ("wikitext2", "ptb", "c4")]
    return table_of([*corpora, *(Column(name, "Accuracy (%)", "high") for name in (*TASKS, "average"))])


def many():
    """Tables of every kind: narrow, of the paper's width, wider than a page, longer than one, and both."""
    wide = [Column(f"corpus-{number}", f"Group {number // 4}") for number in range(24)]
    return {
        "narrow": table_of([Column("WikiText-2")], name="narrow"),
        "paper": replace(main_of_the_paper(), name="paper"),
        "wide": table_of(wide, name="wide"),
        "long": table_of([Column("a"), Column("b")], rows=100, name="long"),
        "both": table_of(wide, rows=60, name="both"),
    }


def test_a_narrow_table_takes_one_column_and_the_papers_takes_both():
    assert not fit(many()["narrow"]).wide
    found = fit(main_of_the_paper())
    assert found.wide and [len(parts) for parts in found.floats] == [1]
    assert "OBQA" in bare(main_of_the_paper()) and "openbookqa" not in bare(main_of_the_paper())


@pytest.mark.parametrize("name", many())
def test_every_part_fits_and_no_number_is_lost(name):
    table = many()[name]
    found = fit(table)
    parts = [part for parts in found.floats for part in parts]
    assert max(width(part, SIZES[-1], narrow=found.narrow) for part in parts) <= (TEXT if found.wide else COLUMN)
    assert all(sum(map(height, parts)) <= HEIGHT for parts in found.floats)
    numbers = sum(len(row) - 2 for part in parts for block in part.blocks for row in block)
    assert numbers == sum(len(row) - 2 for block in table.blocks for row in block)
    assert {part.blocks[0][0][0].text for part in parts} == {"20\u202f%"}, "every part says which ratio it begins with"


def test_a_part_leaves_out_the_rows_that_it_has_nothing_in():
    table = many()["wide"]
    empty = tuple(row if place else (*row[:2], *(Cell("–") for _ in row[2:6]), *row[6:]) for place, row in enumerate(table.blocks[0]))
    first, *others = [part for parts in fit(replace(table, blocks=(empty,))).floats for part in parts]
    kept = {row[1].text for row in first.blocks[0]}
    assert ("Method 0" in kept) == (len(first.columns) > 6)
    assert all("Method 0" in {row[1].text for row in part.blocks[0]} for part in others)


def of_three_heads(columns, rows=60):
    """A table of runs by model, method and group, some of which have no group, with what guessing scores at its end."""

    def heads(row):
        first, of_method = row % 30 == 0, row % 10 == 0
        return Cell(f"m{row // 30}" * first), Cell(f"Method {row // 10}" * of_method), Cell(f"n = {row % 10}" * (row % 10 > 1))

    block = [(*heads(row), *(Cell(f"{row}.5") for _ in columns)) for row in range(rows)]
    block.append((Cell("", level=True), Cell("Chance"), Cell(""), *(Cell("0.1") for _ in columns)))
    names = tuple(Column(name, align="l") for name in ("Model", "Method", ""))
    return Table("made", "m", "Numbers.", (*names, *columns), (tuple(block),), pd.DataFrame())


@pytest.mark.parametrize("columns", [3, 30])
def test_what_heads_a_row_is_told_where_a_table_is_cut(columns):
    parts = [part for parts in fit(of_three_heads([Column(f"corpus-{at}") for at in range(columns)])).floats for part in parts]
    assert len(parts) > 1 and (columns == 3 or len({part.columns for part in parts}) > 1)
    for part in parts:
        for index, row in enumerate(part.blocks[0]):
            told, number = [cell.text for cell in row[:3]], float(row[3].text) - 0.5
            if row[0].level:
                assert told == ["", "Chance", ""]
            elif index == 0:
                assert told[:2] == [f"m{number // 30:.0f}", f"Method {number // 10:.0f}"]
            if not row[0].level:
                assert told[2] == (f"n = {number % 10:.0f}" if number % 10 > 1 else ""), "no group is none, not that of the row above"


def test_rows_below_one_that_is_left_out_are_headed():
    table = of_three_heads([Column(f"corpus-{at}") for at in range(30)])
    gone = tuple(row if at % 30 else (*row[:3], *[MISSING] * 30) for at, row in enumerate(table.blocks[0]))
    first = fit(replace(table, blocks=(gone,))).floats[0][0].blocks[0]
    assert [cell.text for cell in first[0][:3]] == ["m0", "Method 0", ""] and first[0][3].text == "1.5"
    assert [cell.text for cell in first[1][:3]] == ["", "", "n = 2"]


def test_what_guessing_scores_is_of_no_ratio_where_it_begins_a_part():
    table = many()["long"]
    rows = (*table.blocks[0], (Cell("", level=True), Cell("Chance"), Cell("1"), Cell("1")))
    for length in range(30, 60):
        *_, last = [part for parts in fit(replace(table, blocks=((*rows[:length], rows[-1]),))).floats for part in parts]
        assert last.blocks[-1][-1][0].text == "", "also as the first row of a part"


def test_the_wrapper_has_floats_of_one_number_and_no_box_is_resized():
    floats = wrapper(list(many().values()))
    assert "resizebox" not in floats
    assert floats.count("\\caption{Numbers of a\\_b \\& 50\\%.}") == len(many())
    assert "\\begin{table*}" in floats and "\\begin{table}" in floats
    assert label(replace(many()["wide"], name="table 3_x")) == "tab:table-3-x"


def test_long_words_are_broken_where_they_can_be_spoken():
    assert hyphenated("continuation") == ["conti-", "nuation"]
    assert hyphenated("parameter") == ["para-", "meter"]
    assert hyphenated("summary") == ["summary"]
    assert hyphenated("1234567890") == ["1234567890"]


@needs_latex
@pytest.mark.parametrize("article", ARTICLES)
def test_an_article_takes_the_tables_of_a_run_and_every_other(tmp_path, article):
    summary = summarise(all_records(), METHODS)
    tables = [make(summary, model) for make in TABLES.values() for model in ("docs-mha", "docs-gqa")] + list(many().values())
    (tmp_path / "drank").mkdir()
    write(tables, tmp_path / "drank" / "all.tex")
    references = " ".join(f"\\ref{{{label(table)}}}" for table in tables)
    text = (
        f"{ARTICLES[article]}\\usepackage{{booktabs}}\\newcommand{{\\dranktables}}{{drank/}}\\begin{{document}}"
        f"Tables {references}.\n\\input{{drank/all}}\\end{{document}}\n"
    )
    printed = typeset(tmp_path, "article", text)
    assert "Table 11" in printed and "Table 12" not in printed
    assert "Continued" in printed and "20061" in printed
