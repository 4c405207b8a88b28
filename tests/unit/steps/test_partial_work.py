"""What an interrupted step left is gone on with on the device that it was begun on: `auto` may mean another one by then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drank.allocation.plan import Plan
from drank.steps import calibrate, compress, gradients, spectrum
from tests.unit.steps.tiny import TEXT, places


class Told(Exception):
    """Stops a step where it would look for partial work."""


ASKED = {calibrate: (calibrate.moments, "calibrate"), gradients: (gradients, "collect"), spectrum: (spectrum, "decompose_model")}
"""By step what is called with the key of partial work."""


@pytest.mark.parametrize("step", [calibrate, gradients, spectrum, compress], ids=lambda step: step.__name__)
def test_partial_work_is_that_of_the_device_that_auto_means(step, made, tmp_path, monkeypatch):
    folder, tokens, plan = made
    (spectra,) = (folder / "work/results/spectra/tiny").glob("w*")
    old = Plan.read(plan)
    (tmp_path / "plan.json").write_text(replace(old, settings=old.settings | {"corrections": 1}).to_json())
    own = {
        calibrate: {"tokens": tokens, "calibration": TEXT},
        gradients: {"tokens": tokens, "calibration": TEXT | {"gradient_windows": 6}, "labels": "text"},
        spectrum: {"names": {}, "weighting": "identity", "options": {}, "group": 1},
        compress: {"tokens": tokens, "calibration": TEXT, "plan": str(tmp_path / "plan.json"), "spectra": str(spectra)},
    }[step]

    def stop(*given, **told):
        raise Told(given, told)

    monkeypatch.setattr(step, "prepare", lambda *_: "cuda")
    monkeypatch.setattr(step, "open_skeleton", lambda *_: None, raising=False)
    monkeypatch.setattr(*ASKED.get(step, (step, "working")), stop)
    common = {"source": str(folder / "work/results/sources/tiny.json"), "places": places(folder), "threads": 1, "code": "x"}
    with pytest.raises(Told) as told:
        step.run(tmp_path / "out", compute={"device": "auto", "dtype": "float32"}, **own, **common)
    assert "'cuda'" in str(told.value) and "'auto'" not in str(told.value)
