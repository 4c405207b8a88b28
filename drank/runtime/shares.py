"""Shares: work that several processes do side by side, each a part of it, whose results are put together afterwards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """One of `count` shares of some work, by its `number` from 1; written `2-of-4`, as Snakemake names the items of a scatter."""

    number: int = 1
    count: int = 1

    @classmethod
    def named(cls, name: str) -> Share:
        """The share that is written so; raises ValueError for what is none."""
        found = re.fullmatch(r"(\d+)-of-(\d+)", name)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"{name!r} is no share; write the second of four as 2-of-4")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """As `named` reads it."""
        return f"{self.number}-of-{self.count}"

    def run(self, items: int) -> slice:
        """The share of so many items as neighbours; empty for some where there are more shares than items."""
        return slice((self.number - 1) * items // self.count, self.number * items // self.count)

    def batches(self, items: int, batch: int) -> slice:
        """The share of items that are read in batches: whole batches, so that each is read in the company that it always has."""
        run = self.run(-(-items // batch))
        return slice(min(run.start * batch, items), min(run.stop * batch, items))

    def takes(self, item: int) -> bool:
        """Whether an item, counted from 0, is of this share where the shares take turns."""
        return item % self.count == self.number - 1


WHOLE = Share()
"""All of the work."""


def check_complete(shares: Sequence[Share], what: Any) -> None:
    """Raise ValueError where these are not all shares of one division, each once and in order; `what` they are parts of is named."""
    if not shares or list(shares) != [Share(number, len(shares)) for number in range(1, len(shares) + 1)]:
        found = ", ".join(map(str, shares)) or "none"
        raise ValueError(f"the parts of {what} are shares {found}, and all of one division are needed; delete them and run again")
