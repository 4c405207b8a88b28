"""Who is compared with whom: like with like, the best with the runner-up, and what many comparisons allow to be said."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from scipy import stats

from drank.methods import METHODS as KNOWN
from drank.reporting.artefact import summary_of
from drank.reporting.contests import kind_text
from drank.reporting.summary import SummaryError, summarise
from drank.statistics.holm import adjusted
from tests.unit.records_fixture import CORPORA, METHODS, TASKS, perplexity_record, zeroshot_record

NATS = "log_perplexity_minus_best"


@pytest.fixture(scope="module")
def summary():
    from tests.unit.records_fixture import all_records

    return summarise(all_records(), METHODS)


def rows(frame, metric=NATS, **where):
    found = frame[frame["metric"] == metric]
    for column, value in where.items():
        found = found[found[column] == value]
    return found


def test_the_best_meets_its_runner_up_and_all_others_the_best(summary):
    found = rows(summary, model="docs-mha", ratio=0.2, dataset="python-docs").set_index("method")
    assert found.loc[["d-rank", "basis-sharing", "svd-llm", "svd"], "place"].tolist() == [1, 2, 3, 4]
    assert found["rival"].to_dict() == dict.fromkeys(found.index, "d-rank") | {"d-rank": "basis-sharing"}
    assert found.loc["d-rank", "value"] == -found.loc["basis-sharing", "value"] < 0
    assert found.loc["d-rank", "p"] == found.loc["basis-sharing", "p"]


def test_the_numbers_are_those_of_a_paired_test(summary):
    one, two = (np.array(perplexity_record("docs-mha", name, 0.2).detail["python-code"]["window_loss"]) / 511 for name in ("svd", "d-rank"))
    row = rows(summary, model="docs-mha", ratio=0.2, dataset="python-code", method="svd").iloc[0]
    known = stats.ttest_rel(one, two)
    assert row["value"] == pytest.approx((one - two).mean())
    assert row["p"] == pytest.approx(known.pvalue)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_like_is_compared_with_like_and_the_best_of_all_apart(summary):
    """At 40 % D-Rank and Basis Sharing are refitted, SVD and SVD-LLM are not."""
    at = {"model": "docs-mha", "ratio": 0.4, "dataset": "python-docs"}
    kinds, every = rows(summary, **at).set_index("method"), rows(summary, "log_perplexity_minus_best_of_all", **at).set_index("method")
    assert kinds["kind"]["d-rank"] == "refitted, two factors" and kinds["kind"]["svd"] == "training-free, two factors"
    assert kinds["rival"].to_dict() == {
        "d-rank": "basis-sharing",
        "basis-sharing": "d-rank",
        "svd": "svd-llm",
        "svd-llm": "svd",
        "random-ranks": "svd-llm",
    }
    assert every["place"].to_dict() == {"d-rank": 1, "basis-sharing": 2, "svd-llm": 3, "svd": 4}
    assert rows(summary, "log_perplexity_minus_best_of_all", ratio=0.2).empty, "where one kind competes it is the best of all"


def test_controls_have_a_difference_and_no_place(summary):
    control = rows(summary, method="random-ranks")
    assert len(control) == 12 and control["place"].isna().all() and control["p_holm"].isna().all()
    assert not rows(summary)["rival"].isin(["random-ranks", "full-rank", "dense"]).any()


@pytest.mark.parametrize("metric", [NATS, "accuracy_minus_best"])
def test_the_bests_are_corrected_together(summary, metric):
    best = rows(summary, metric, place=1)
    assert best["p_holm"].tolist() == pytest.approx(adjusted(best["p"].tolist()))
    assert len(best) == 2 * 3 * (3 if metric == NATS else 5)
    assert rows(summary, metric)["p_holm"].notna().sum() == len(best)


def test_accuracy_is_better_where_it_is_higher(summary):
    found = rows(summary, "accuracy_minus_best", model="docs-mha", ratio=0.2, dataset="average").set_index("method")
    assert found["place"]["d-rank"] == 1 and found["value"]["d-rank"] > 0 > found["value"]["svd"]


def test_who_has_no_rival_of_its_kind_has_no_row():
    found = summarise([perplexity_record("m", "svd", 0.4), perplexity_record("m", "d-rank", 0.4)])
    assert rows(found).empty
    assert rows(found, "log_perplexity_minus_best_of_all", place=1)["method"].unique() == ["d-rank"]


def test_variants_and_checkpoints_of_others_do_not_compete():
    theirs = perplexity_record("m", "mine", 0.2)
    theirs = replace(theirs, provenance=theirs.provenance | {"checkpoint": {"source": {"path": "somewhere"}, "files": {}}})
    labels = ("svd", "svd-llm", "d-rank+beta=0.4")
    frame = summarise([*(perplexity_record("m", label, 0.2) for label in labels), theirs])
    assert set(rows(frame)["method"]) == {"svd", "svd-llm"}
    runs = [{"model": "m", "label": label, "ratio": 0.2} for label in labels[1:]]
    shown = {"rows": runs, "draws": [], "notes": {"m": ""}, "shown": [*CORPORA]}
    own = rows(summary_of(shown, [*(perplexity_record("m", label, 0.2) for label in labels), theirs]))
    assert set(own["method"]) == {"svd-llm", "d-rank+beta=0.4"}, "an artefact compares its own runs, variants among them"
    assert kind_text(theirs) == "" and kind_text(perplexity_record("m", "dense", 0.0)) == ""


def only(record, *datasets):
    """The record without what it found on other data sets."""
    detail = {name: told for name, told in record.detail.items() if name in datasets}
    return replace(record, results=tuple(row for row in record.results if row.dataset in datasets), detail=detail)


@pytest.mark.parametrize("further", CORPORA)
def test_what_an_artefact_does_not_show_is_no_contest_of_its_own(further):
    """A text that another one has measured of the same runs is none of the comparisons that it corrects for."""
    labels, shown = ("svd", "svd-llm", "basis-sharing", "d-rank"), [name for name in CORPORA if name != further]
    told = {"rows": [{"model": "m", "label": label, "ratio": 0.2} for label in labels], "draws": [], "notes": {"m": ""}, "shown": shown}
    records = [perplexity_record("m", label, 0.2) for label in labels]
    more, alone = (rows(summary_of(told, found)) for found in (records, [only(one, *shown) for one in records]))
    assert len(more[more["place"] == 1]) == 2
    assert_frame_equal(more.reset_index(drop=True), alone.reset_index(drop=True))


def test_an_average_over_tasks_that_an_artefact_does_not_show_is_no_contest_of_its_own():
    told = {"rows": [{"model": "m", "label": label, "ratio": 0.2} for label in ("svd", "d-rank")], "draws": [], "notes": {"m": ""}}
    records = [zeroshot_record("m", label, 0.2) for label in ("svd", "d-rank")]
    few, every = (rows(summary_of({**told, "shown": shown}, records), "accuracy_minus_best") for shown in ([*TASKS][:2], [*TASKS]))
    assert set(few["dataset"]) == {*[*TASKS][:2]} and set(every["dataset"]) == {*TASKS, "average"}


def test_a_method_is_of_its_kind_whatever_it_is_called():
    fitted = perplexity_record("m", "mine", 0.2)
    fitted = replace(fitted, provenance=fitted.provenance | {"method": KNOWN["l-rank"].settings(0.2)})
    assert kind_text(fitted) == "refitted and corrected, pivoted or dense"
    assert rows(summarise([fitted, perplexity_record("m", "svd", 0.2)])).empty


def test_items_of_a_passage_are_one():
    records = []
    for method in ("svd", "d-rank"):
        one = zeroshot_record("m", method, 0.2)
        detail = {task: found | {"passages": [item // 4 for item in range(400)]} for task, found in one.detail.items()}
        records.append(replace(one, detail=detail))
    shared, apart = (
        rows(summarise(found), "accuracy_minus_best") for found in (records, [zeroshot_record("m", m, 0.2) for m in ("svd", "d-rank")])
    )
    assert shared["value"].tolist() == apart["value"].tolist()
    task = shared.iloc[0]
    change = np.subtract(*(found.detail[task["dataset"]]["correct"] for found in records)).reshape(100, 4).mean(axis=1)
    assert task["stderr"] == pytest.approx(stats.sem(change))
    moved = replace(records[1], detail={task: found | {"passages": [0] * 400} for task, found in records[1].detail.items()})
    with pytest.raises(SummaryError, match="differ in passages"):
        summarise([records[0], moved])


def test_one_window_tells_nothing_apart():
    found = rows(summarise([perplexity_record("m", method, 0.2, windows=1) for method in ("svd", "d-rank")]))
    assert len(found) == 6 and found[["ci_low", "p", "p_holm", "detectable"]].isna().all(axis=None)
    assert all(math.isfinite(value) for value in found["value"])


def test_rivals_that_saw_other_text_are_refused_without_a_dense_model_too():
    one, two = perplexity_record("m", "svd", 0.2), perplexity_record("m", "svd-llm", 0.2, windows=47)
    with pytest.raises(SummaryError, match=r"python-code: .* differ in window_tokens") as refused:
        summarise([one, two])
    assert len(set(str(refused.value).splitlines())) == len(str(refused.value).splitlines())
