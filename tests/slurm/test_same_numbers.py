"""A run on a SLURM, as the documentation says and with nothing added, ends with the numbers of a local one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.slurm.places import Place
from tests.slurm.results import differences, facts, leftovers
from tests.workflow.runs import PROJECT, Run


@pytest.mark.parametrize("cluster", ["plain", "accounted"])
def test_a_run_on_slurm_has_the_numbers_of_a_local_one(cluster: str, tiny: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = Place(request.getfixturevalue(cluster))
    folder = tmp_path / "run"
    shutil.copytree(tiny.with_name("inputs"), folder)
    place.finish(folder)
    assert differences(facts(tiny), facts(folder)) == []
    assert {path.name for path in (folder / "results/throughput").iterdir()} == {"tiny"}
    assert not leftovers(folder)
    assert Run(folder, PROJECT).planned() == {}, "a local call after it has nothing to do"
    assert not place.at_work(0)
