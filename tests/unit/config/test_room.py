"""What a run is said to hold of hidden states is what lies there at the worst moment, and a disk that is too small is told before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import drank
from drank.calibration import gradients, moments
from drank.config import read_schema, with_defaults
from drank.config.artefacts import Runs
from drank.config.resolved import methods_for
from drank.config.room import REMEDY, held, room
from drank.methods import METHODS

ROOT = Path(__file__).parents[3]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
TEXT = {"windows": 8, "length": 64, "batch": 4}
STATES = 64 * 192 * 4
"""Bytes of the hidden states of a window of docs-mha at one block, of which there are eight."""


def config(method: str = "fwsvd", **changes: Any) -> dict[str, Any]:
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    own = {"methods": {method: {}}, "models": {"docs-mha": {"embedded": "docs-mha"}}, "artefacts": {}}
    return with_defaults(given | own | {"calibration": {"corpus": "python-docs", **TEXT}} | changes, SCHEMA)


def states(rule: str, given: dict[str, Any], at_once: int = 1, jobs: int = 1, **names: str) -> float:
    methods = {"docs-mha": methods_for(given, "docs-mha")}
    return held(given, [(number, rule, {"model": "docs-mha", **names}) for number in range(jobs)], methods, at_once)


@pytest.mark.parametrize(("method", "passing"), [("svd-llm", moments), ("fwsvd", gradients), ("gfwsvd", gradients)])
def test_it_is_what_lies_there_at_the_worst_moment(method: str, passing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, store = [0], passing.store_states

    def watched(directory: Path, written: Any) -> None:
        store(directory, written)
        most[0] = max(most[0], sum(file.stat().st_size for file in directory.parent.rglob("*") if file.is_file()))

    monkeypatch.setattr(passing, "store_states", watched)
    text = " ".join(f"word {number} of a text that is read" for number in range(400))
    drank.plan("docs-mha", method, 0.4, text, threads=1, **TEXT)
    rule = "calibrate" if method == "svd-llm" else "gradients"
    assert most[0] == pytest.approx(states(rule, config(method), labels=METHODS[method].weighing_pass), rel=0.05)


def test_it_is_that_of_the_windows_that_are_read_in_the_precision_of_the_run() -> None:
    assert states("calibrate", config()) == 2 * 8 * STATES
    assert states("gradients", config(), labels="text") == (8 + 3) * 8 * STATES
    assert states("gradients", config(), labels="sampled") == (8 + 3) * 4 * STATES
    assert states("gradients", config(compute={"dtype": "bfloat16"}), labels="text") == (8 + 3) * 8 * STATES / 2
    assert states("relinearise", config("l-rank"), method="l-rank", ratio="0.4") == (8 + 3) * 4 * STATES
    assert states("compress", config(), method="fwsvd", ratio="0.4") == 0


def test_shares_hold_theirs_and_jobs_at_once_hold_all_of_theirs() -> None:
    shared = config(compute={"shards": 2}, calibration={"corpus": "python-docs", **TEXT, "batch": 2})
    assert states("gradients_part", shared, labels="text") == states("gradients", config(), labels="text") / 2
    assert states("gradients", shared, labels="text") == 0, "it adds what lies there"
    assert states("calibrate", config(), at_once=2, jobs=3) == 2 * states("calibrate", config())


def test_a_job_with_a_text_of_its_own_holds_that_of_its_own() -> None:
    given = config(methods={"svd-llm": {}, "more": {"base": "svd-llm", "calibration": {"windows": 16}}}, artefacts={})
    runs = Runs(given)
    more = {"model": "docs-mha", "calibrated": runs.methods["docs-mha"]["more"].calibrated}
    assert held(given, [(1, "calibrate", more)], runs.methods, runs=runs) == 2 * 16 * STATES


def test_a_disk_that_is_too_small_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [(1, "calibrate", {"model": "docs-mha"})]
    for free, warned in ((10**12, False), (10**6, True)):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        taken, short = room(config(), jobs, tmp_path)
        assert taken == "about 24 MB on disk, and up to 1 MB of hidden states while moments and gradients are taken"
        assert short == (f"{tmp_path} has 1 MB free, and about 25 MB are needed: {REMEDY}" if warned else None)
    assert room(config(), [(1, "report", {})], tmp_path) == (None, None)


@pytest.mark.parametrize("keep", ["models", "nothing"])
def test_what_passes_needs_room_too(keep: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=2 * 10**7))
    taken, short = room(config(keep=keep), [(1, "calibrate", {"model": "docs-mha"})], tmp_path)
    assert taken and taken.startswith(
        f"writes about 24 MB, of which 1 MB stay (keep: {keep}) and some 24 MB more lie there on the way, and"
    )
    assert short and "has 20 MB free, and about 25 MB are needed" in short


def test_parts_of_a_divided_step_need_room_whatever_is_kept(tmp_path: Path) -> None:
    shared = config(compute={"shards": 2}, calibration={"corpus": "python-docs", **TEXT, "batch": 2})
    parts = [(number, "calibrate_part", {"model": "docs-mha"}) for number in range(2)]
    taken, _ = room(shared, [*parts, (2, "calibrate", {"model": "docs-mha"})], tmp_path)
    assert taken and taken.startswith("writes about 72 MB, of which 24 MB stay (keep: all) and some 48 MB more lie there on the way")
