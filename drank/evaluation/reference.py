"""What the dense model predicts on the windows on which others are measured, in a form that is small enough to keep.

Logits are too large for that, and the model is too slow to run again beside every other. Kept are the hidden states that leave its last
block: out of these its own norm and head make the logits again, window by window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.evaluation.batches import batched
from drank.models.forward import leaving, own_logits_of
from drank.models.residency import open_skeleton
from drank.runtime.files import read_json, replacing, write_json
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress
from drank.runtime.provenance import version_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

    from drank.evaluation.losses import Beside

FACTS = "facts.json"


def store_reference(
    model: PreTrainedModel, windows: Sequence[Tensor], directory: str | Path, facts: Mapping[str, Any], batch: int = 4
) -> None:
    """Write what `Reference` reads of the dense model on windows of token ids, and `facts` of both: whole or not at all.

    How it was computed is told too: the same text and model on another device, or by other versions, are another reference.

    Raises NonFiniteError where hidden states are not finite.
    """
    from safetensors.torch import save_file

    how = {"dtype": str(model.dtype).removeprefix("torch."), "device": model.device.type}
    how |= {name: version_of(name) for name in ("torch", "transformers")}
    with replacing(directory) as temporary:
        temporary.mkdir()
        for number, states in enumerate(_states(model, batched(windows, batch), str(directory))):
            save_file({"states": states.cpu().contiguous()}, temporary / _file(number))
        write_json(temporary / FACTS, {**facts, **how})


def _file(batch: int) -> str:
    """The name of the file with the states of a batch, by its number."""
    return f"{batch:06d}.safetensors"


def _states(model: PreTrainedModel, batches: Sequence[Sequence[Tensor]], where: str) -> Iterator[Tensor]:
    import torch

    for chunk in progress(batches, "dense model, batch"):
        with torch.inference_mode():
            states = leaving(model, torch.stack(list(chunk)).to(model.device))
        if not finite(states):
            raise NonFiniteError(
                f"{where}: the hidden states that leave the dense model's last block are not finite in {states.dtype}; "
                "run in float32 (`compute: dtype: float32`), and check the model for damaged weights"
            )
        yield states


@dataclass(frozen=True)
class Reference:
    """What `store_reference` wrote: the folder, where the dense model lies that it is of, and the facts of both."""

    directory: Path
    dense: Path
    facts: dict[str, Any]

    @classmethod
    def read(cls, directory: str | Path, dense: Path) -> Reference:
        """The one in a folder, of the dense model in another."""
        return cls(Path(directory), dense, read_json(Path(directory) / FACTS))

    def beside(self, device: str | torch.device) -> Beside:
        """What `losses.window_losses` takes: its `logits` by the dense model's head, on the device of the measured model."""
        return partial(self.logits, head=open_skeleton(self.dense, self.facts["dtype"], device))

    def logits(self, number: int, windows: Sequence[Tensor], head: PreTrainedModel) -> Iterator[Tensor]:
        """For each window of one batch the dense model's logits, (tokens − 1, vocabulary), in its own precision.

        `head` is that model; of its blocks nothing is read, so that a skeleton will do (`drank.models.residency`). Raises ValueError where
        the batch is missing or another than that of these windows.
        """
        from safetensors.torch import load_file

        file = self.directory / _file(number)
        states = load_file(file, str(head.device))["states"] if file.is_file() else None
        if states is None or states.shape[:2] != (len(windows), len(windows[0])):
            found = "is missing" if states is None else f"holds {states.shape[0]} windows of {states.shape[1]} tokens"
            raise ValueError(
                f"{file} {found}, and {len(windows)} windows of {len(windows[0])} tokens are measured; delete {self.directory} and rerun"
            )
        for state, ids in zip(states.split(1), windows, strict=True):
            yield own_logits_of(head, state, ids[None])[0]
