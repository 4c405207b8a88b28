"""The ranks of a compressed model in short: a line for every kind of projection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from drank.models.groups import Group


@dataclass(frozen=True)
class KindRanks:
    """The groups of one kind of projection: how many, how many of them are stored dense, and the ranks of the others (0 without any)."""

    kind: str
    groups: int
    dense: int
    smallest: int
    median: float
    largest: int
    full: int
    layers: int
    kept: float

    @property
    def stored(self) -> str:
        """How the groups are stored, in words: `8 matrices`, `4 bases for 2 layers each`, `… , 3 dense`."""
        one = self.groups == 1
        shared = f"{self.groups} {'basis' if one else 'bases'} for up to {self.layers} layers each"
        each = shared if self.layers > 1 else f"{self.groups} {'matrix' if one else 'matrices'}"
        return each + (f", {self.dense} dense" if self.dense else "")

    @property
    def ranks(self) -> tuple[str, str, str]:
        """The smallest, the median and the largest rank, as text."""
        if self.groups == self.dense:
            return "–", "–", "–"
        return str(self.smallest), f"{self.median:g}", str(self.largest)


def rank_summary(groups: Iterable[Group]) -> list[KindRanks]:
    """A line for every kind, in the order of the groups; `full` is the rank at which factors are exact, `kept` the share of parameters."""
    by_kind: dict[str, list[Group]] = {}
    for group in groups:
        by_kind.setdefault(group.shape.kind, []).append(group)
    return [_summary(kind, members) for kind, members in by_kind.items()]


def _summary(kind: str, members: list[Group]) -> KindRanks:
    ranks = [group.rank for group in members if not group.dense] or [0]
    return KindRanks(
        kind=kind,
        groups=len(members),
        dense=sum(group.dense for group in members),
        smallest=min(ranks),
        median=median(ranks),
        largest=max(ranks),
        full=max(group.shape.max_rank for group in members),
        layers=max(len(group.shape.layers) for group in members),
        kept=sum(group.parameters for group in members) / sum(group.shape.dense_parameters for group in members),
    )
