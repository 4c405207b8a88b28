"""A speed in one engine stands beside none in another."""

from __future__ import annotations

from typing import Any

from drank.models.card.numbers import joined, numbers


def timed(rate: float, engine: str | None) -> dict[str, Any]:
    settings = {} if engine is None else {"engine": engine}
    provenance = {"settings": settings, "machine": {"cpu": "it", "gpu": None}, "threads": 1, "date": "2026-11-30", "drank": "1"}
    row = {"dataset": "decode", "metric": "tokens_per_second", "value": rate, "count": 6}
    return {"kind": "throughput", "model": "m", "results": [row], "provenance": provenance}


def test_engines_have_rows_of_their_own() -> None:
    own = joined([timed(10.0, None)], [timed(50.0, "vllm")])
    lines = [line for line in numbers(own, [timed(8.0, "transformers")]).splitlines() if "tokens per second |" in line or "(by" in line]
    by_transformers, by_vllm = lines
    assert "10.00" in by_transformers and "8.00" in by_transformers
    assert "(by vllm)" in by_vllm and "50.00" in by_vllm and "8.00" not in by_vllm and "10.00" not in by_vllm
    (again,) = (record for record in joined(own, [timed(60.0, "vllm")]) if record["results"][0]["value"] == 10.0)
    assert again["provenance"]["settings"] == {}
