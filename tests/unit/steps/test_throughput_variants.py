"""What variants of models ask of a job: room for the caches that compiled ones keep from round to round, and a device that has them."""

from __future__ import annotations

from typing import Any

import pytest

from drank.evaluation.lineup import Lineup
from drank.steps import throughput
from tests.workflow.runs import write_model


def test_caches_of_compiled_models_need_room_beside_the_weights(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "model")
    lineup = Lineup.of({"one": str(tmp_path / "model")}, None, {})
    timed: dict[str, Any] = {"batch": 2, "prompt": 6, "generate": 4, "repeats": 1, "variants": ["plain", "compiled"]}
    compute = {"device": "cpu", "dtype": "float32", "threads": 1}
    weights, caches = 2 * lineup.weights(4) / throughput.SHARE, lineup.caches(timed, "float32")
    monkeypatch.setattr(throughput, "_loaded", lambda *_: {})
    monkeypatch.setattr(throughput.Ceilings, "of", lambda *_: None)
    for room, together in ((weights + caches - 1, False), (weights + caches, True)):
        monkeypatch.setattr(throughput, "free_memory", lambda _, room=room: room)
        assert throughput._timed(lineup, timed, compute, None)[1] == together
    monkeypatch.setattr(throughput, "free_memory", lambda _: weights)
    assert throughput._timed(lineup, timed | {"variants": ["plain", "fused"]}, compute, None)[1], "what grows is dropped after a round"


def test_weights_are_not_packed_where_auto_is_a_gpu(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "model")
    monkeypatch.setattr(throughput, "prepare", lambda *_: "cuda")
    what: dict[str, Any] = {"names": {}, "models": {"one": str(tmp_path / "model")}, "dense": None, "places": {}, "threads": 1}
    timed = {"batch": 1, "prompt": 4, "generate": 2, "repeats": 1, "variants": ["plain", "prepacked"]}
    with pytest.raises(ValueError, match=r"throughput\.variants has prepacked, and this job computes on cuda: a GPU has no layout"):
        throughput.run(tmp_path / "out", throughput=timed, compute={"device": "auto", "dtype": "float32"}, **what)
