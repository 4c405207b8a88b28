"""Densities of a spectrum: worked by hand, of dead groups, and at any scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drank.allocation.densities import DENSITIES
from drank.allocation.evidence import Evidence
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rules import by_density, densities_of
from tests.unit.allocators_fixture import a_problem


def test_densities_of_a_spectrum_worked_by_hand():
    """λ = 16, 9, 9, 1, 1 with σ = 4, 3, 3, 1, 1; uniform rank 2.7."""
    energies = np.array([16.0, 9, 9, 1, 1])
    found = {name: density(energies, 2.7) for name, density in DENSITIES.items()}
    p, q = energies / 36, np.sqrt(energies) / 12
    assert found == pytest.approx(
        {
            "spectral-entropy": math.prod(share**-share for share in p),
            "amplitude-entropy": math.prod(share**-share for share in q),
            "stable-rank": 36 / 16,
            "nuclear-norm": 12.0,
            "energy-rank": 4.0,  # 35/36 is more than 95 %, 34/36 = 94.4 % is less
            "truncation-loss": 9 + 1 + 1,
        }
    )


def test_the_energy_rank_holds_95_percent_and_one_rank_less_does_not():
    assert DENSITIES["energy-rank"](np.full(20, 0.1), 1) == 19, "19 of 20 equal ones are just 95 %"
    for seed in range(50):
        energies = np.sort(np.random.default_rng(seed).lognormal(sigma=2, size=30))[::-1]
        k = int(DENSITIES["energy-rank"](energies, 1))
        assert energies[:k].sum() >= 0.95 * energies.sum() > energies[: k - 1].sum()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("dead", [[3], range(9)], ids=["one dead group", "all dead"])
def test_spectra_of_zeros_have_a_density_that_ranks_can_be_made_of(name, dead):
    case = a_problem(0.4)
    energies = dict(case.evidence.energies) | {case.shapes[i].name: np.zeros(case.shapes[i].max_rank) for i in dead}
    case = Problem(case.label, case.shapes, case.budget, case.low, case.high, False, Evidence(case.shapes, energies))
    density = densities_of(case, Options(density=name))
    assert (density > 0).all() and np.isfinite(density).all()
    ranks = by_density(case, Options(density=name))
    assert ranks @ case.costs == pytest.approx(case.budget) and (ranks >= 1).all()
    if len(dead) == 1:
        assert ranks[3] == ranks.min()


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_do_not_change_ranks_when_all_energies_are_scaled(name):
    case = a_problem(0.5)
    scaled = Evidence(case.shapes, {key: 1e-7 * values for key, values in case.evidence.energies.items()})
    other = Problem(case.label, case.shapes, case.budget, case.low, case.high, False, scaled)
    np.testing.assert_allclose(by_density(case, Options(density=name)), by_density(other, Options(density=name)), rtol=1e-9)
