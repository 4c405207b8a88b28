"""How a compressed model was made, as it stands in its folder: the whole method, the texts, and where, when and how long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drank.allocation.plan import Plan
from drank.models.card.writing import card_of
from drank.models.documents import CARD, MAKING, PLAN
from drank.models.sources import without_place
from drank.runtime.files import read_json
from drank.runtime.provenance import origin


class Making:
    """The making of one compressed model under way; a stage is timed while it runs."""

    def __init__(self, plan: Plan, device: str, threads: int, base: Mapping[str, Any] | None = None) -> None:
        """Starts now; `base` is what `describe_source` says of the dense model."""
        self._plan, self._device, self._threads = plan, device, threads
        self._base = {**base, "source": without_place(base["source"])} if base else None
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._texts: dict[str, Any] = {}

    @contextmanager
    def stage(self, name: str, text: Mapping[str, Any] | None = None, *, timed: bool = True) -> Iterator[None]:
        """Counts the seconds until the context ends, unless it was done by an earlier run; `text` says what the stage read."""
        started = time.perf_counter()
        if text is not None:
            self._texts[name] = dict(text)
        yield
        if timed:
            self._stages[name] = round(time.perf_counter() - started, 3)

    def to_json(self) -> str:
        """What is known of the making so far, as the text of making.json."""
        plan = self._plan
        making = {"model": plan.model, "label": plan.method, "ratio": plan.ratio, "method": plan.settings, "base": self._base}
        making |= {"calibration": plan.calibration or None, "texts": self._texts, "stages": self._stages}
        making |= origin(self._device, self._threads, self._started)
        return json.dumps(making, indent=1, ensure_ascii=False) + "\n"

    def facts(self) -> dict[str, str]:
        """The texts of which a program knows what the model in a folder is, by file name: plan and making."""
        return {PLAN: self._plan.to_json(), MAKING: self.to_json()}

    def documents(self, directory: Path) -> dict[str, str]:
        """The texts that belong into the folder of the model, by file name: its facts, and the card of the weights that it holds."""
        facts = self.facts()
        return {**facts, CARD: card_of(directory, json.loads(facts[MAKING]))}


def making_of(directory: str | Path) -> dict[str, Any] | None:
    """How the model in a folder was made; None for one that drank did not compress."""
    path = Path(directory) / MAKING
    return read_json(path) if path.is_file() else None
