"""Re-linearisation: the spectra of a model measured near the model that they will make, in a few steps from the dense one.

The second-order expansion of the loss holds near the dense model. At a high ratio the moments and the gradients are therefore measured
again on the model compressed so far, and the original weights, never the compressed ones, decomposed under them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.allocate import allocate
from drank.allocation.read_evidence import read_evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.models.checkpoint import load_model
from drank.models.conversion import convert
from drank.models.weights import Checkpoint
from drank.runtime.log import progress
from drank.runtime.working import working
from drank.spectra.spectrum import decompose_model, version_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def relinearise(
    directory: str | Path,
    output: str | Path,
    *,
    spectra: str | Path,
    method: str,
    settings: Mapping[str, Any],
    weighting: str,
    options: Mapping[str, float],
    group: int,
    ratio: float,
    steps: int,
    labels: str,
    windows: Tensor,
    moments_windows: Tensor,
    facts: Mapping[str, Any],
    batch: int = 8,
    seed: int = 13,
    dtype: str = "float32",
    device: str = "cpu",
    key: Any = None,
) -> None:
    """Write the spectra of the last of `steps` steps as a directory that `decompose_model` would write.

    `spectra` are those of the dense model in `directory`. Step s of S compresses by the method's own allocation at s/S of the ratio,
    measures the moments over `moments_windows` and the gradients over `windows`, both (windows, tokens) of token ids, and decomposes the
    original weights; the last spectra are for the ratio itself. A run that was interrupted goes on at the step, and within it at the layer,
    it had reached where the arguments, and `key` (whatever else decides the result), are the same.

    Raises what `allocate`, `calibrate`, `collect` and `decompose_model` raise, and ValueError for fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"{steps} steps re-linearise nothing; take 2 or more, or the spectra of the dense model")
    checkpoint, latest = Checkpoint(Path(directory)), Path(spectra)
    recipe: dict[str, Any] = {"weighting": weighting, "options": options, "group": group, "facts": facts, "device": device}
    same = [recipe, settings, method, ratio, steps, labels, seed, dtype, batch, str(directory), version_of(spectra), key]
    texts = [hashlib.sha256(ids.cpu().numpy().tobytes()).hexdigest() for ids in (windows, moments_windows)]
    with working(output, [same, texts]) as (work, result):
        for step in progress(range(1, steps), "re-linearising, step"):
            at = work / str(step)
            found = at / "spectra"
            if not found.is_dir():  # what is there is whole
                model = load_model(directory, dtype, device)
                plan = allocate(read_evidence(latest), ratio * step / steps, settings, model=str(directory), method=method)
                convert(model, plan.groups, factors_of(checkpoint, plan, latest))
                moments, gradients = _measured(model, at, step, moments_windows, windows, batch, labels, seed + step)
                del model
                decompose_model(checkpoint, found, moments=moments, gradients=gradients, **recipe)
            latest = found
        shutil.copytree(latest, result, dirs_exist_ok=True)


def _measured(
    model: PreTrainedModel, folder: Path, step: int, moments_windows: Tensor, windows: Tensor, batch: int, labels: str, seed: int
) -> tuple[Path, Path]:
    """The moments and the gradients of the model of a step, as folders; what is there is whole."""
    moments, gradients = folder / "moments", folder / "gradients"
    if not moments.is_dir():
        calibrate(model, moments_windows, moments, {"step": step}, batch)
    if not gradients.is_dir():
        collect(model, windows, gradients, {"step": step}, batch, labels=labels, seed=seed)
    return moments, gradients
