"""The passes over a text that corrections are made of, and what is kept of them.

A step reads a few windows and is Adafactor's (arXiv:1804.04235): its length is a share of the root mean square of each matrix, which is
found by trying the first one, and with a row and a column for what it remembers of past gradients, so that beside the model
there is one gradient of its factors and nothing else of their size.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from drank.compression.finetune import learning_rate
from drank.compression.gradient import leave_gradients
from drank.runtime.files import replacing
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

WINDOWS = 4
"""Windows that one step reads."""

RATE = 1e-2
"""The length of the longest step as a share of the root mean square of a matrix, at most, where the divergence is 1 nat per token.

Near the dense model the divergence is a square of how far the weights are from where they should be, so that steps go by its root. They
grow at first and then fall to zero.
"""

LONGER, HALVINGS = 4, 12
"""The longest step in lengths of one that lowers the divergence by itself, and how often that one is halved, at most, to find it.

What a step overshoots the ones after it take back. SmolLM2-135M bears steps a quarter as long as its divergence alone would allow.
"""

SHORTER, AGAIN = 4, 2
"""By how much steps are shortened where the passes did not lower the divergence, and how often, at most, they are taken again so.

A first step that lowers it does not promise that many of its length do: on SmolLM2-135M at 20 % and WikiText-2 a pass led from .133 to
.181.
"""

NOTHING = 1e-15
"""What the mean square of a gradient is at least taken for, far below that of any divergence; its square has to be a number in float32."""

START = "start.safetensors"
"""The file of the weights as they were before the first pass."""

REMEDY = "run in float32 (`compute: dtype: float32`)"


class Passes:
    """The passes over the text: the optimiser, what it moves, and the file in which all of it is kept."""

    def __init__(self, parameters: Sequence[nn.Parameter], folder: Path) -> None:
        """Nothing is done yet; the folder may hold what an interrupted run had reached."""
        import torch

        self.parameters, self.start, self.file = parameters, folder / START, folder / "state.safetensors"
        self.found: list[float] = []  # the divergence before and after each pass
        self.rate = 0.0  # the length of the longest step
        self.retaken = 0  # how often the passes began anew, with shorter steps
        narrow = torch.finfo(parameters[0].dtype).bits < 32  # a step is lost between two of its numbers
        self.exact = [parameter.detach().float() for parameter in parameters] if narrow else list(parameters)
        self.optimizer = torch.optim.Adafactor(self.exact, lr=RATE, eps=(NOTHING, 0.0))

    @property
    def done(self) -> int:
        """How many passes are over."""
        return len(self.found) - 1

    def begin(self) -> None:
        """Go on from the folder; where it holds nothing, keep what the model is now."""
        if not self.start.is_file():
            self._write(self.start, {str(number): value for number, value in enumerate(self.parameters)})
            return
        state = self.restore(self.file if self.file.is_file() else self.start)
        if not self.file.is_file():
            return
        with safe_open(self.file, framework="pt") as file:
            facts = file.metadata()
        self.found, self.rate = [float(value) for value in json.loads(facts["found"])], float(facts["rate"])
        self.retaken = int(facts.get("retaken", 0))
        for name, value in state.items():
            number, dot, key = name.partition(".")
            if dot:  # what no token reached has none
                exact = self.exact[int(number)]
                self.optimizer.state[exact][key] = value if key == "step" else value.to(exact.device)

    def restore(self, file: Path) -> dict[str, Tensor]:
        """Put back the weights that a file holds; gives all that is in it, by name."""
        from safetensors.torch import load_file

        state = load_file(file)
        self._put([state[str(number)] for number in range(len(self.exact))])
        return state

    def keep(self) -> None:
        """Note where the passes are now, whole or not at all."""
        state = {str(number): exact for number, exact in enumerate(self.exact)}
        for number, exact in enumerate(self.exact):
            own = self.optimizer.state.get(exact, {})
            state |= {f"{number}.{name}": value for name, value in own.items() if value is not None}
        self._write(self.file, state, {"found": json.dumps(self.found), "rate": repr(self.rate), "retaken": str(self.retaken)})

    def begin_anew(self) -> None:
        """Go back to before the first pass, for passes of shorter steps, and note that."""
        self.restore(self.start)
        self.optimizer.state.clear()
        self.optimizer.zero_grad()
        del self.found[1:]
        self.rate, self.retaken = self.rate / SHORTER, self.retaken + 1
        self.keep()

    def choose_rate(
        self, model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], batch: int, measure: Callable[[], float]
    ) -> None:
        """Set `rate` by what `measure` gives, nats per token, after the first step alone; model and optimiser are as before afterwards.

        It stays 0 where no step lowers that, however short. Raises NonFiniteError where the shortest leads to what is no number.
        """
        longest = length = RATE * math.sqrt(max(0.0, self.found[0]))
        self._gather(model, windows, reference, self._order(windows)[:WINDOWS].tolist(), batch)
        for _ in range(HALVINGS):
            self._step(length)
            found = measure()
            self.restore(self.start)
            self.optimizer.state.clear()
            if found < self.found[0]:
                break
            length /= 2
        self.optimizer.zero_grad()
        if not math.isfinite(found):
            raise NonFiniteError(f"after the first step of a correction, however short, the divergence is {found}; {REMEDY}")
        self.rate = min(longest, LONGER * length) if found < self.found[0] else 0.0
        log.info("the longest step is %.2g of the size of each matrix", self.rate)

    def take(self, model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], count: int, batch: int) -> None:
        """One pass of `count`: every window once, in an order of the pass's own."""
        steps = self._order(windows).split(WINDOWS)
        for number, chosen in enumerate(progress(steps, f"correction {self.done + 1} of {count}, step")):
            loss = self._gather(model, windows, reference, chosen.tolist(), batch)
            if not math.isfinite(loss):
                raise NonFiniteError(f"correction {self.done + 1}, step {number + 1} of {len(steps)}: the divergence is {loss}; {REMEDY}")
            self._step(self.rate * learning_rate(self.done * len(steps) + number, count * len(steps)))
            self.optimizer.zero_grad()

    def _order(self, windows: Tensor) -> Tensor:
        import torch

        return torch.randperm(len(windows), generator=torch.Generator().manual_seed(self.done))

    def _gather(self, model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], chosen: Sequence[int], batch: int) -> float:
        """Leave the gradient of the chosen windows with the weights that are moved; gives their mean divergence."""
        loss = leave_gradients(model, windows, reference, chosen, batch)
        for exact, parameter in zip(self.exact, self.parameters, strict=True):
            if exact is not parameter and parameter.grad is not None:
                exact.grad, parameter.grad = parameter.grad.float(), None
        return loss

    def _step(self, length: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = length
        self.optimizer.step()
        self._put(self.exact)

    def _put(self, values: Sequence[Tensor]) -> None:
        import torch

        with torch.no_grad():
            for exact, parameter, value in zip(self.exact, self.parameters, values, strict=True):
                exact.copy_(value)
                parameter.copy_(value)

    @staticmethod
    def _write(path: Path, state: Mapping[str, Tensor], facts: dict[str, str] | None = None) -> None:
        from safetensors.torch import save_file

        with replacing(path) as temporary:
            save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, temporary, metadata=facts)
