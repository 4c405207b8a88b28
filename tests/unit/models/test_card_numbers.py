"""In one row of a card stand numbers of one sample, taken alike; a speed in one engine stands beside none in another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drank.models.card.numbers import joined, model_index, numbers
from tests.unit.records_fixture import KINDS, TASKS, perplexity_record, throughput_record, zeroshot_record


def timed(rate: float, engine: str | None) -> dict[str, Any]:
    settings = {} if engine is None else {"engine": engine}
    provenance = {"settings": settings, "machine": {"cpu": "it", "gpu": None}, "threads": 1, "date": "2026-11-30", "drank": "1"}
    row = {"dataset": "decode", "metric": "tokens_per_second", "value": rate, "count": 6}
    return {"kind": "throughput", "model": "m", "results": [row], "provenance": provenance}


def changed(record: Any, settings: Any = (), **provenance: Any) -> dict[str, Any]:
    """A record as numbers.json has it, measured in another way."""
    told = record.provenance | {"settings": record.provenance["settings"] | dict(settings)} | provenance
    return replace(record, provenance=told).to_dict()


def of_tasks(*names: str, items: int = 400, method: str = "d-rank") -> dict[str, Any]:
    """The record of these tasks, the average over them included."""
    whole = zeroshot_record("m", method, 0.2 if method == "d-rank" else 0.0, items)
    rows = [row for row in whole.results if row.dataset in names]
    average = replace(whole.results[-1], value=sum(row.value for row in rows) / len(rows), count=items * len(rows))
    return changed(replace(whole, results=(*rows, average)), {"tasks": {name: {"embedded": name} for name in names}})


def cells(text: str, dataset: str, metric: str = "") -> list[str]:
    """The cells of a card's row."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {dataset} | {metric}")]
    return found[0] if found else []


def datasets(records: list[dict[str, Any]]) -> list[str]:
    (index,) = model_index("m", records) or [{"results": []}]
    return [result["dataset"]["name"] for result in index["results"]]


def test_engines_have_rows_of_their_own() -> None:
    own = joined([timed(10.0, None)], [timed(50.0, "vllm")])
    lines = [line for line in numbers(own, [timed(8.0, "transformers")]).splitlines() if "tokens per second |" in line or "(by" in line]
    by_transformers, by_vllm = lines
    assert "10.00" in by_transformers and "8.00" in by_transformers
    assert "(by vllm)" in by_vllm and "50.00" in by_vllm and "8.00" not in by_vllm and "10.00" not in by_vllm
    (again,) = (record for record in joined(own, [timed(60.0, "vllm")]) if record["results"][0]["value"] == 10.0)
    assert again["provenance"]["settings"] == {}


def test_an_average_is_of_the_tasks_that_stand_with_it() -> None:
    every, (one, *others) = of_tasks(*TASKS), TASKS
    dense = of_tasks(*TASKS, method="dense")
    assert len(cells(numbers(joined([], [every]), [dense]), "average")) == 5, "beside the dense model's"
    after = joined([every], [of_tasks(one)])
    assert sorted(datasets(after)) == sorted(TASKS), "the accuracy on one task is no average over four"
    text = numbers(after, [dense])
    assert not cells(text, "average") and all(cells(text, task)[3] != "–" for task in TASKS)
    assert "average" not in datasets(joined(after, [perplexity_record("m", "d-rank", 0.2).to_dict()]))
    assert sorted(datasets(joined(after, [every]))) == sorted([*TASKS, "average"])
    assert datasets(joined([of_tasks(one)], [of_tasks(*others)])).count("average") == 0
    assert "average" in datasets(joined([every], [perplexity_record("m", "d-rank", 0.2).to_dict()])), "what was not measured again stays"


def test_a_text_called_average_is_no_average() -> None:
    record = perplexity_record("m", "d-rank", 0.2).to_dict()
    record["results"][0]["dataset"] = "average"
    assert "average" in datasets(joined([record], [of_tasks(*TASKS)]))


def test_fewer_items_stand_beside_no_accuracy_on_all_of_them() -> None:
    one, *others = TASKS
    text = numbers(joined([of_tasks(*TASKS)], [of_tasks(one, items=20)]), [of_tasks(*TASKS, method="dense")])
    assert cells(text, one)[3:] == ["–", "20 items, chance 25.0 %"] and all(cells(text, task)[3] != "–" for task in others)
    shots = {name: {"embedded": name} | ({"fewshot": 5} if name == one else {}) for name in TASKS}
    text = numbers([changed(zeroshot_record("m", "d-rank", 0.2), {"tasks": shots})], [of_tasks(*TASKS, method="dense")])
    assert [cells(text, name)[3] == "–" for name in (one, "average", others[0])] == [True, True, False]


def test_fewer_windows_and_other_text_stand_beside_no_perplexity_of_all() -> None:
    own, dense = perplexity_record("m", "d-rank", 0.2), perplexity_record("m", "dense", 0.0)
    fewer = perplexity_record("m", "d-rank", 0.2, windows=10).to_dict()
    assert "| dense |" in numbers([changed(own, {"batch": 1, "corpora": ["python-docs"]})], [dense.to_dict()]), "which decide no number"
    hashed = changed(dense, inputs={"text python-docs": "a"})
    assert "| dense |" in numbers([changed(own, inputs={"text python-docs": "a"})], [hashed])
    other = numbers([changed(own, inputs={"text python-docs": "b"})], [hashed])
    assert cells(other, "python-docs")[3] == "–" and cells(other, "python-code")[3] != "–"
    for measured in (fewer, changed(own, {"length": 256})):
        text = numbers(joined([own.to_dict()], [measured]), [dense.to_dict()])
        assert "| dense |" not in text and text.count("| perplexity |") == 3


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"machine": {"cpu": "Another", "cores": 2, "memory_bytes": 2**34, "gpu": None}},
        {"device": "cuda", "machine": {"cpu": "Test CPU", "cores": 2, "memory_bytes": 2**34, "gpu": "H200"}},
        {"threads": 1},
        {"settings": {"prompt": 512}},
    ],
)
def test_a_speed_stands_beside_none_on_another_machine(elsewhere: dict[str, Any]) -> None:
    own, dense = throughput_record("m", "d-rank", 0.2), throughput_record("m", "dense", 0.0).to_dict()
    assert "| dense |" in numbers([own.to_dict()], [dense])
    again = joined([own.to_dict()], [changed(own, **elsewhere)])
    assert len(again) == 1 and "| dense |" not in numbers(again, [dense])


@pytest.mark.parametrize("kind", KINDS)
def test_another_precision_is_another_way(kind: str) -> None:
    own, dense = KINDS[kind]("m", "d-rank", 0.2), KINDS[kind]("m", "dense", 0.0).to_dict()
    wider = replace(own, size=replace(own.size, bytes=2 * own.size.bytes))
    assert "| dense |" in numbers([own.to_dict()], [dense]) and "| dense |" not in numbers([wider.to_dict()], [dense])
