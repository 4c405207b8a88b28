"""The page leads from every number to its record, from every method to its files, from every table to its CSV, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from drank.reporting.report.links import Links, here
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS, all_records, make_plan
from tests.unit.report_page import Page, page_of
from tests.unit.reporting.tables_of import TABLES, answers_table, main_table, paired_table, throughput_table


def path_of(record):
    names = (record.model, f"{record.ratio:g}", record.method) if record.kind == "throughput" else (record.model, record.method)
    return f"results/{record.kind}/{'/'.join(names)}{'' if record.kind == 'throughput' else f'/{record.ratio:g}'}.json"


def files_of(records, models=True):
    """What a run of these records leaves, with the paths that the workflow gives."""
    found = {}
    for record in records:
        place = f"{record.model}/{record.method}/{record.ratio:g}"
        left = found.setdefault(record.model, {}).setdefault(record.method, {}).setdefault(f"{record.ratio:g}", {})
        left[record.kind] = path_of(record)
        if record.method != "dense":
            left |= {"plan": f"results/plans/{place}.json"} | ({"model": f"results/models/{place}"} if models else {})
    return found


def links_of(records, models=True):
    names = [f"{table}-{model}" for table in TABLES for model in ("docs-mha", "docs-gqa")]
    return Links(files_of(records, models), {name: f"results/tables/{name}.csv" for name in names})


def on_disk(records, folder):
    """The files of a run, empty, in its folder."""
    left = [
        path
        for methods in files_of(records).values()
        for ratios in methods.values()
        for kinds in ratios.values()
        for path in kinds.values()
    ]
    paths = [f"{path}/README.md" if path.startswith("results/models") else path for path in left]
    for path in [*paths, *links_of(records).tables.values()]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def test_every_address_of_the_page_leads_somewhere(tmp_path, records):
    on_disk(records, tmp_path)
    markup = page_of(records, tables=TABLES, plans=[make_plan("docs-mha", "d-rank", 0.2)], links=links_of(records))
    page = Page(markup)
    outside = [address for address in page.addresses if not address.startswith("#")]
    assert len(outside) > len(records) and not page.wrong
    assert not [address for address in outside if not (tmp_path / "results" / unquote(address)).is_file()]
    assert not [address for address in page.addresses if address.startswith("#") and f'id="{address[1:]}"' not in markup]
    for record in records:
        assert path_of(record).removeprefix("results/") in outside
    assert {f"models/{one.model}/{one.method}/{one.ratio:g}/README.md" for one in records if one.method != "dense"} <= set(outside)
    assert {path.removeprefix("results/") for path in links_of(records).tables.values()} <= set(outside)


def test_a_page_without_files_has_no_links_but_its_own(records):
    assert all(address.startswith("#") for address in Page(page_of(records, tables=TABLES)).addresses)


def test_a_run_that_keeps_no_models_says_so_and_has_no_dead_link(records):
    page = Page(page_of(records, links=links_of(records, models=False), settings={"keep": "nothing"}))
    assert not [address for address in page.addresses if "README" in address]
    assert "keeps no compressed models" in page.text and "not kept" in page.text
    assert "not kept" not in Page(page_of(records, links=links_of(records))).text


def test_a_number_leads_to_the_record_of_its_kind(records):
    summary = summarise(records, METHODS)
    links = links_of(records)
    table = main_table(summary, "docs-mha")
    address = links.cells(table, records)
    row = list(zip(table.frame["method"], table.frame["ratio"], strict=True)).index(("d-rank", 0.4))
    assert address(row, 2) == "perplexity/docs-mha/d-rank/0.4.json", "the first corpus"
    assert address(row, len(table.columns) - 1) == "zeroshot/docs-mha/d-rank/0.4.json", "the average over tasks"
    assert address(row, 1) == "#of/docs-mha/d-rank/0.4" and address(row, 0) == ""
    assert address(len(table.frame), 2) == "", "what guessing scores is in no record"
    speeds = throughput_table(summary, "docs-mha")
    assert links.cells(speeds, records)(1, 2).startswith("throughput/docs-mha/")


def test_a_task_and_a_text_of_one_name_lead_to_a_record_each(records):
    """And their differences and flips with them, which are in no record."""
    task, text = "continuation", "python-docs"

    def renamed(record):
        rows = tuple(replace(row, dataset=text) if row.dataset == task else row for row in record.results)
        return replace(record, results=rows, detail={text if name == task else name: told for name, told in record.detail.items()})

    own = [renamed(one) for one in records if one.model == "docs-mha"]
    links, summary = links_of(own), summarise(own, METHODS)

    def led(make, metric):
        table = make(summary, "docs-mha")
        shown = [column for column in table.frame.columns if not column.endswith((" ci_low", " ci_high", " stderr"))]
        return links.cells(table, own)(list(table.frame["method"]).index("d-rank"), shown.index(f"{metric} {text}"))

    found = [led(main_table, "perplexity"), led(main_table, "accuracy"), led(paired_table, "perplexity_minus_dense")]
    found.append(led(answers_table, "flips"))
    assert [address.partition("/")[0] for address in found] == ["perplexity", "zeroshot", "perplexity", "zeroshot"]


def test_who_won_leads_to_the_records_and_to_both_methods_files(records):
    """At 40 % of python-code D-Rank has the lowest perplexity of all, before Basis Sharing: their records say so."""
    own = [one for one in records if one.model == "docs-mha"]
    found = page_of(own, links=links_of(own)).partition('aria-label="Who won"')[2].partition("</table>")[0].split("<tr>")[2:]
    row = [row for row in found if "all kinds" in row][-1]
    record, files = "perplexity/docs-mha/d-rank/0.4.json", "#of/docs-mha/{}/0.4"
    value = next(one for one in own if path_of(one) == f"results/{record}").results[-2].value
    assert f'<b><a href="{files.format("d-rank")}">D-Rank</a></b>' in row and f'<a href="{record}">{value:.2f}</a>' in row
    assert f'<a href="{files.format("basis-sharing")}">Basis Sharing</a>' in row
    assert row.count(f'<a href="{record}">') == 3, "perplexity, what it is over dense, and the difference to the second"
    assert all(row.count("<a ") == (3 if "no rival" in row else 5) for row in found)
    assert "<a " not in page_of(own).partition('aria-label="Who won"')[2].partition("</table>")[0]


def test_numbers_over_several_draws_lead_to_the_record_of_the_first(records):
    own = [one for one in records if one.model == "docs-mha" and one.kind == "perplexity" and one.method in ("dense", "d-rank")]
    again = [replace(one, method="d-rank+draw=42") for one in own if one.method == "d-rank"]
    summary = summarise([*own, *again])
    table = main_table(summary[summary["method"] != "d-rank+draw=42"], "docs-mha")
    assert any(name.endswith(" spread") for name in table.frame)
    assert links_of(own).cells(table, own)(1, 2) == "perplexity/docs-mha/d-rank/0.2.json"


def test_every_number_of_a_table_is_a_link_but_for_chance(records):
    table = main_table(summarise(records, METHODS), "docs-mha")
    html = table.to_html(3, "tables/main.csv", links_of(records).cells(table, records))
    body = html.partition("<tbody>")[2]
    assert (
        html.startswith('<figure class="tabular" id="table-3"><figcaption><b>Table 3.</b>') and '<a href="tables/main.csv">CSV</a>' in html
    )
    rows = body.split("<tr")[1:]
    assert len(rows) == len(table.frame) + 1
    for row in rows[:-1]:
        assert row.count("<a href") == len(table.columns) - 1
    assert rows[-1].startswith(' class="level"') and "<a " not in rows[-1] and "Chance" in rows[-1]


@pytest.mark.parametrize(
    ("path", "address"), [("results/a b/é#?.json", "a%20b/%C3%A9%23%3F.json"), ("plans/x+draw=1.json", "../plans/x+draw=1.json")]
)
def test_odd_names_are_addresses_too(path, address):
    assert Links().to(path) == address
    assert (Path("results") / unquote(address)).as_posix().replace("results/../", "") == path


def test_tables_whose_rows_are_no_runs_have_no_links(records):
    table = main_table(summarise(records, METHODS), "docs-mha")
    other = type(table)(**{**vars(table), "frame": table.frame.rename(columns={"method": "axis"})})
    assert {links_of(records).cells(other, records)(row, column) for row in range(3) for column in range(4)} == {""}


def test_models_that_are_gone_are_left_out():
    files = files_of(all_records(models=("m",), methods=("d-rank",), ratios=(0.2, 0.4)))
    found = here(files, lambda path: path == Path("results/models/m/d-rank/0.2/README.md"))["m"]["d-rank"]
    assert "model" in found["0.2"] and "model" not in found["0.4"] and "plan" in found["0.4"]
