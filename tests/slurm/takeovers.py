"""A resumable step that goes on although its run was killed, beside the step of a new run that takes its work over."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.kills import GRACE, ended, under_way
from tests.slurm.places import Place
from tests.slurm.results import copied, differences, facts, leftovers

STEPS = {"calibrate": "moments/tiny", "gradients": "gradients/tiny/text", "spectrum": "spectra/tiny/whitening-n1"}
ORPHANS = Path(__file__).parent / "orphan"
SLOW = (0.5, 2.0, 30.0)  # seconds that the first run's step takes more for each layer: with the last, the second run is done before


@dataclass(frozen=True)
class Takeover:
    """How one ended: results that differ from the undisturbed ones, files left behind, whether the newcomer failed, and who ended last."""

    step: str
    wrong: tuple[str, ...]
    left: tuple[str, ...]
    failed: bool
    outlived: bool  # the orphan was still there when the newcomer had ended

    @property
    def sound(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.wrong or self.left or self.failed)


def takeover(place: Place, finished: Path, folder: Path, step: str, draw: random.Random) -> Takeover:
    """Kill a run in a copy of a finished one while a step is at work, and start it again at once while that step goes on."""
    copied(finished, folder, STEPS[step])
    target = f"results/{STEPS[step]}"
    first = place.start(folder, target, PYTHONPATH=str(ORPHANS), DRANK_TEST_SLOW=str(draw.choice(SLOW)))
    while not under_way(folder):
        assert first.poll() is None, f"the run in {folder} ended before its step was seen at work"
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 3))
    orphans = place.at_work(first.pid)
    first.send_signal(signal.SIGKILL)
    first.wait()
    code = ended(place.start(folder, target), folder)
    outlived = bool(place.remain(orphans))
    end = time.monotonic() + GRACE
    while place.remain(orphans):
        assert time.monotonic() < end, f"the step of the killed run in {folder} does not end"
        time.sleep(0.2)
    wrong = [path for path in differences(facts(finished), facts(folder)) if path.startswith(STEPS[step])]
    return Takeover(step, tuple(wrong), tuple(leftovers(folder)), code != 0, outlived)
