"""Killed in every way that runs are killed, at random moments, a run on a SLURM ends with the numbers of an undisturbed one."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.kills import KILLS, Torment, torment
from tests.slurm.places import QUICK, Place
from tests.slurm.results import TARGET, differences, facts, leftovers
from tests.slurm.takeovers import STEPS, takeover


@pytest.fixture
def place(plain: Cluster) -> Place:
    return Place(plain, QUICK)


def test_killed_in_every_way_a_run_ends_with_the_same_numbers(place: Place, resumable: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(resumable.with_name("inputs"), folder)
    draw = random.Random(1)
    done = Torment()
    torment(done, place, folder, draw.sample(KILLS, len(KILLS)), draw, TARGET)
    assert done.kills.total() >= 3, f"the run was done after {done.kills}: kill it sooner"
    assert differences(facts(resumable), facts(folder)) == []
    assert not leftovers(folder)
    assert not place.at_work(0)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_taken_over_while_it_goes_on_ends_with_the_same_numbers(place: Place, step: str, resumable: Path, tmp_path: Path) -> None:
    one = takeover(place, resumable, tmp_path / "run", step, random.Random(step))
    assert one.sound, one
