"""What a run is said to write is what its steps write, within a few per cent, and what goes again is not said to stay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from drank.config import read_schema, with_defaults
from drank.config.artefacts import Runs
from drank.config.disk import told, written
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


def bytes_of(rule: str, names: dict[str, str], **changes: Any) -> tuple[float, float]:
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    config = with_defaults(given | changes, SCHEMA)
    methods = Runs(config).methods
    if names.get("spectrum"):
        names = {"spectrum": methods["docs-mha"]["l-rank"].spectrum}
    return written(config, [(1, rule, {"model": "docs-mha", **names})], methods)


@pytest.mark.parametrize(("rule", "names", "size"), MEASURED, ids=[rule for rule, *_ in MEASURED])
def test_it_is_what_was_measured(rule: str, names: dict[str, str], size: float) -> None:
    total, kept = bytes_of(rule, names)
    assert total == kept and math.isclose(total, size * MIB, rel_tol=0.06)


def test_what_goes_again_does_not_stay() -> None:
    for rule, names, _ in MEASURED:
        total, kept = bytes_of(rule, names, keep="models")
        assert total > 0 and kept == (total if rule == "compress" else 0)
        assert bytes_of(rule, names, keep="nothing")[1] == 0


def test_what_is_kept_of_the_dense_model_are_its_hidden_states() -> None:
    text = {"corpora": ["python-docs"], "windows": 10, "length": 256}
    names = {"text": "python-docs.test"}
    assert bytes_of("reference", names, perplexity=text) == (10 * 256 * 192 * 4,) * 2
    assert bytes_of("reference", names, perplexity=text, keep="models")[1] == 0


def test_half_the_precision_is_half_a_model() -> None:
    names = {"method": "l-rank", "ratio": "0.4"}
    assert bytes_of("compress", names, compute={"dtype": "bfloat16"})[0] == bytes_of("compress", names)[0] / 2


def test_what_is_small_or_unknown_counts_for_nothing() -> None:
    assert bytes_of("report", {}) == (0, 0)


def test_it_is_told_in_a_line() -> None:
    assert told(1.4e10, 1.4e10, "all") == "about 14 GB on disk"
    assert told(2.8e11, 2.8e11, "all") == "about 280 GB on disk", "and not 2.8e+02"
    assert told(1.4e10, 2e7, "nothing") == "writes about 14 GB, of which 20 MB stay (keep: nothing)"


def test_the_speed_of_a_core_is_that_of_no_abacus_and_no_dream() -> None:
    assert 1e8 < core_speed() < 1e13
