"""Evidence is what the steps before an allocation wrote."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drank.allocation.allocate import allocate
from drank.allocation.read_evidence import read_evidence
from drank.calibration.layer_files import write_layer
from drank.models.groups import Shape
from drank.runtime.files import write_json
from drank.spectra.slopes import write_slopes
from tests.unit.allocators_fixture import random_evidence

SHAPES = [Shape("q", (0, 1), 8, 6), Shape("v", (0,), 8, 6), Shape("v", (1,), 8, 6)]


@pytest.fixture
def measured(tmp_path):
    """Random evidence and the files that hold it."""
    evidence = random_evidence(SHAPES, 1)
    rows = [{"group": s.name, "role": s.role, "layers": s.layers, "rows": s.rows, "columns": s.columns} for s in SHAPES]
    write_json(tmp_path / "spectra" / "summary.json", {"groups": [row | {"effective_rank": 1.0} for row in rows]})
    for layer in (0, 1):
        energies = {f"{s.name}.energies": torch.from_numpy(evidence.energies[s.name]) for s in SHAPES if s.layers[0] == layer}
        write_layer(tmp_path / "spectra", layer, energies)
        write_layer(tmp_path / "moments", layer, {"similarity": torch.tensor(evidence.similarities[layer], dtype=torch.float64)})
    write_slopes(tmp_path / "slopes.safetensors", evidence.slopes)
    write_json(tmp_path / "sensitivity.json", {"perplexity": evidence.sensitivity, "facts": {}})
    return evidence, tmp_path


def test_everything_that_was_measured_is_read(measured):
    expected, folder = measured
    paths = {"slopes": folder / "slopes.safetensors", "moments": folder / "moments", "sensitivity": folder / "sensitivity.json"}
    found = read_evidence(folder / "spectra", **paths)
    assert list(found.shapes) == SHAPES and found.sensitivity == expected.sensitivity
    assert list(found.similarities) == expected.similarities
    for name, values in expected.energies.items():
        np.testing.assert_array_equal(found.energies[name], values)
        np.testing.assert_array_equal(found.slopes[name], expected.slopes[name])


def test_what_was_not_measured_is_missing_only_for_those_who_need_it(measured):
    expected, folder = measured
    found = read_evidence(folder / "spectra")
    optimal, greedy = {"allocator": "optimal"}, {"allocator": "greedy"}
    assert allocate(found, 0.3, optimal, model="m", method="x") == allocate(expected, 0.3, optimal, model="m", method="x")
    with pytest.raises(ValueError, match=r"method x: evidence is missing: no slopes of q\.00-01, v\.00, v\.01; run the step"):
        allocate(found, 0.3, greedy, model="m", method="x")
