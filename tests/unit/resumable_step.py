"""A resumable step on a small model as a process that says which host it is on, and how long it takes for each file it writes.

`python -m tests.unit.resumable_step STEP FOLDER HOST SECONDS` writes FOLDER/STEP.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import torch

from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model
from tests.unit.interrupted import small_llama, windows


def take(step: str, folder: Path) -> None:
    """Take a step; spectra read the moments that lie in the folder."""
    torch.set_num_threads(1)
    model = small_llama()
    if step == "moments":
        calibrate(model, windows(), folder / step, {"seed": 13}, batch=2)
    elif step == "gradients":
        collect(model, windows(), folder / step, {"seed": 13}, batch=2)
    else:
        decompose_model(Checkpoint(folder / "model"), folder / step, moments=folder / "moments", facts={"seed": 13})


def slowly(seconds: float) -> None:
    """Make every move of a file to its place wait."""
    replace = os.replace

    def late(source: object, target: object) -> None:
        time.sleep(seconds)
        replace(source, target)

    os.replace = late


if __name__ == "__main__":
    step, folder, host, seconds = sys.argv[1:]
    socket.gethostname = lambda: host
    slowly(float(seconds))
    take(step, Path(folder))
