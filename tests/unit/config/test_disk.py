"""What a run is said to write is what its steps write, within a few per cent, and what goes again is not said to stay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from drank.config import read_schema, with_defaults
from drank.config.artefacts import Runs
from drank.config.disk import Written, told, written
from drank.config.speed import core_speed

ROOT = Path(__file__).parents[3]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
MIB = 2**20

MEASURED = [
    ("calibrate", {}, 23),
    ("gradients", {"labels": "sampled"}, 57),
    ("spectrum", {"spectrum": "kronecker-fisher"}, 23),
    ("compress", {"method": "l-rank", "ratio": "0.4"}, 10.5),
]
"""MiB of docs-mha as docs/bigger-models.md has them."""


def bytes_of(rule: str, names: dict[str, str], **changes: Any) -> Written:
    return bytes_of_all([(rule, names)], **changes)


def bytes_of_all(jobs: list[tuple[str, dict[str, str]]], **changes: Any) -> Written:
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    config = with_defaults(given | changes, SCHEMA)
    methods = Runs(config).methods
    spectrum = {"spectrum": methods["docs-mha"]["l-rank"].spectrum}
    found = [{"model": "docs-mha", **names, **(spectrum if "spectrum" in names else {})} for _, names in jobs]
    return written(config, [(number, rule, found[number]) for number, (rule, _) in enumerate(jobs)], methods)


@pytest.mark.parametrize(("rule", "names", "size"), MEASURED, ids=[rule for rule, *_ in MEASURED])
def test_it_is_what_was_measured(rule: str, names: dict[str, str], size: float) -> None:
    total, kept, passing = bytes_of(rule, names)
    assert total == kept and not passing and math.isclose(total, size * MIB, rel_tol=0.06)


def test_what_goes_again_does_not_stay() -> None:
    for rule, names, _ in MEASURED:
        total, kept, passing = bytes_of(rule, names, keep="models")
        assert total > 0 and kept == (total if rule == "compress" else 0) and passing == total - kept
        assert bytes_of(rule, names, keep="nothing") == (total, 0, total)


def test_what_passes_lies_there_together_and_one_model_after_the_other() -> None:
    passing = [(rule, names) for rule, names, _ in MEASURED if rule != "compress"]
    of_one = sum(bytes_of(*job).total for job in passing)
    of_another = [(rule, {**names, "model": "docs-gqa"}) for rule, names in passing[:1]]
    assert bytes_of_all([*passing, *of_another], keep="models").passing == of_one < bytes_of_all([*passing, *of_another]).total


def test_models_pass_one_at_a_time_and_those_of_a_ratio_where_they_are_timed_together() -> None:
    jobs = [("compress", {"method": method, "ratio": ratio}) for method in ("svd", "l-rank") for ratio in ("0.4", "0.6")]
    sizes = [bytes_of(*job).total for job in jobs]
    assert sizes[0] > sizes[1]
    assert bytes_of_all(jobs, keep="nothing").passing == 2 * sizes[0]
    assert bytes_of_all(jobs, keep="nothing", throughput=None, artefacts={}).passing == sizes[0]


def test_parts_are_as_large_as_moments_and_as_gradients_with_float64_weights_and_go_again() -> None:
    moments, gradients = (bytes_of(rule, {"labels": "sampled"}).total for rule in ("calibrate", "gradients"))
    assert bytes_of("calibrate_part", {}) == (moments, 0, moments)
    inside = 8 * (4 * 192 * 192 + 3 * 192 * 512)
    part = gradients + 4 * inside
    assert bytes_of_all([("gradients_part", {"labels": "sampled"})] * 3) == (3 * part, 0, 3 * part)
    whole, part = (bytes_of(rule, {"labels": "likeliest"}).total for rule in ("gradients", "gradients_part"))
    assert whole == part, "of which no weights are kept"


def test_what_is_kept_of_the_dense_model_are_its_hidden_states() -> None:
    text = {"corpora": ["python-docs"], "windows": 10, "length": 256}
    names = {"text": "python-docs.test"}
    assert bytes_of("reference", names, perplexity=text)[:2] == (10 * 256 * 192 * 4,) * 2
    assert bytes_of("reference", names, perplexity=text, keep="models")[1] == 0


def test_half_the_precision_is_half_a_model() -> None:
    names = {"method": "l-rank", "ratio": "0.4"}
    assert bytes_of("compress", names, compute={"dtype": "bfloat16"})[0] == bytes_of("compress", names)[0] / 2


def test_what_is_small_or_unknown_counts_for_nothing() -> None:
    assert bytes_of("report", {}) == (0, 0, 0)


def test_it_is_told_in_a_line() -> None:
    assert told(Written(1.4e10, 1.4e10, 0), "all") == "about 14 GB on disk"
    assert told(Written(2.8e11, 2.8e11, 0), "all") == "about 280 GB on disk", "and not 2.8e+02"
    some = "writes about 14 GB, of which 20 MB stay (keep: nothing) and some 5 GB more lie there on the way"
    assert told(Written(1.4e10, 2e7, 5e9), "nothing") == some


def test_the_speed_of_a_core_is_that_of_no_abacus_and_no_dream() -> None:
    assert 1e8 < core_speed() < 1e13
