"""Overfitting as measured: how much more the loss rises on text that making a model did not read than on text that it did.

Both are windows of one split, of one length, drawn at random, so that nothing but having been read tells them apart. The rise is over the
losses of the dense model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from drank.corpora.beginnings import convention_in
from drank.corpora.unread import unread_places
from drank.corpora.windows import Tokens
from drank.evaluation.losses import WindowLosses, window_losses
from drank.evaluation.wanted import Wanted
from drank.runtime.shares import WHOLE, Share
from drank.statistics.intervals import clustered_mean, difference

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DRAW = 1
"""Beside the seed of the calibration what the windows are drawn by that it did not read."""


def places_in(text: Tokens, calibration: Mapping[str, Any], count: int) -> tuple[list[int], list[int]]:
    """Where up to `count` windows begin that a calibration has read, and as many unread ones that overlap none of all that it has.

    Those read are the first ones, which every pass over the text has seen: `gradient_windows` says how many these are.
    """
    bos, length = convention_in(calibration), calibration["length"]
    drawn = text.places(length, calibration["windows"], calibration["seed"], bos).tolist()
    seed = np.random.SeedSequence([calibration["seed"], DRAW]).generate_state(1)[0]
    unread = unread_places(drawn, *text.room(length, bos), count, int(seed))
    return drawn[: min(count, calibration.get("gradient_windows", len(drawn)))], unread


@dataclass(frozen=True)
class Overfitting:
    """What is known before a model is measured: the text and how it was read, both kinds of places, and the dense model's losses there."""

    text: Tokens
    facts: Mapping[str, Any]
    read: Sequence[int]
    unread: Sequence[int]
    dense: WindowLosses | None = None

    @classmethod
    def of(cls, text: Tokens, told: Mapping[str, Any]) -> Overfitting:
        """What `told` gave, of this text; raises ValueError where it is of another."""
        if told["text"]["tokens_sha256"] != text.ids_sha256:
            name = f"{text.corpus}.{text.split}"
            raise ValueError(f"the dense model's losses on {name} are of another text of that name; delete results/overfitting and rerun")
        return cls(text, told["text"], told["read"], told["unread"], WindowLosses(**told["dense"]))

    @property
    def name(self) -> str:
        """The split as a data set is called."""
        return f"{self.text.corpus}.{self.text.split}"

    @property
    def dataset(self) -> str:
        """What its losses are kept as, which no text is called."""
        return f"{self.name}, read and unread"

    def told(self, dense: WindowLosses) -> dict[str, Any]:
        """All of it as JSON holds it, with these losses of the dense model."""
        return {"text": dict(self.facts), "read": list(self.read), "unread": list(self.unread), "dense": asdict(dense)}

    def losses(self, model: PreTrainedModel, share: Share = WHOLE) -> WindowLosses:
        """A model's losses on the windows read, then on the unread ones; of those, what is of the share."""
        import torch

        windows = self.text.at(torch.tensor([*self.read, *self.unread]), self.facts["length"], convention_in(self.facts))
        return window_losses(model, list(windows), self.dataset, self.facts["batch"], share)

    def wanted(self, decided: Mapping[str, Any]) -> Wanted:
        """The same as a piece of a measurement of perplexity."""
        key = {**decided, "read": {**self.facts, "places": [*self.read, *self.unread]}}
        return Wanted("perplexity", self.dataset, key, lambda model, share: asdict(self.losses(model, share)))

    def summarised(self, found: WindowLosses) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rows of a model's record, and what its provenance says: the text, the windows and the rise of the loss on each of them.

        The rows are `rise_on_read` and `rise_on_unread`, nats per token over the dense model, and `overfitting`, by how much the latter is
        larger, each with its interval; `count` is how many windows. What there are no windows for is left out, for a `reason`.
        """
        if self.dense is None:
            raise ValueError("a rise is over the dense model's losses, and there are none")
        rise = [(loss - dense) / count for loss, dense, count in zip(found.loss, self.dense.loss, found.tokens, strict=True)]
        read, unread = rise[: len(self.read)], rise[len(self.read) :]
        sides = {name: side for name, side in (("rise_on_read", read), ("rise_on_unread", unread)) if side}
        means = {name: clustered_mean(side) for name, side in sides.items()}
        counts = {name: len(side) for name, side in sides.items()}
        if read and unread:
            means["overfitting"], counts["overfitting"] = difference(means["rise_on_unread"], means["rise_on_read"]), min(counts.values())
        windows = {"read": list(self.read), "unread": list(self.unread), "rise_on_read": read, "rise_on_unread": unread}
        why = {} if unread else {"reason": f"{self.name} has no window of {self.facts['length']} tokens that was not read"}
        named = [
            {"dataset": self.name, "metric": metric, "value": mean.value, **mean.interval.ends, "count": counts[metric]}
            for metric, mean in means.items()
        ]
        return named, {"text": dict(self.facts), **windows, **why}
