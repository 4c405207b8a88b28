"""Contests: at each model, ratio and data set every method beside the best other one of its kind, the best beside the runner-up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from drank.reporting.differences import Comparison, Difference, count_of, mismatches, of_accuracy, of_perplexity, row_of
from drank.reporting.kinds import kind_of
from drank.reporting.names import competes, is_control, unique
from drank.reporting.recipes import checkpoint
from drank.reporting.records import Record
from drank.runtime.grouping import AVERAGE, in_group
from drank.statistics.holm import adjusted
from drank.statistics.intervals import Estimate
from drank.variants import is_variant

OF_KIND, OF_ALL = "minus_best", "minus_best_of_all"
"""How the metrics of differences to the best end: to that of the kind, and where several kinds compete also to that of all."""

Run = tuple[str, str, float]
"""Model, method and ratio of a record."""


class Goal(NamedTuple):
    """What methods compete in: the metric, whether low values win, what its differences are called, and how they are taken."""

    metric: str
    low: bool
    difference: str
    taken: Callable[[Comparison], Mapping[str, Estimate]]


def _of_perplexity(pair: Comparison) -> dict[str, Estimate]:
    """Differences in nats per token by corpus, on which perplexities are tested."""
    return {corpus: gap.estimate for corpus, gap in of_perplexity(pair).items()}


GOALS = {
    "perplexity": Goal("perplexity", True, "log_perplexity", _of_perplexity),
    "zeroshot": Goal("accuracy", False, "accuracy", of_accuracy),
}
"""By the kind of records that have them."""


class Group(NamedTuple):
    """Those that are compared with each other: records of one model, ratio and data set, an average's of the same tasks."""

    model: str
    ratio: float
    dataset: str
    tasks: tuple[str, ...]
    kind: str


def kind_text(record: Record) -> str:
    """The kind of a record's method in print, empty for dense and for somebody else's checkpoint."""
    kind = None if checkpoint(record.provenance) else kind_of(record.provenance["method"])
    return str(kind or "")


def contests(
    records: Sequence[Record], among: Collection[Run] | None = None, on: Collection[str] | None = None
) -> tuple[dict[int, list[Difference]], list[str]]:
    """For each record, by its `id`, its differences to the best; and a line for every pair of records that saw something else.

    Those `among` compete, or all but variants, `on` these data sets, or all; dense and others' checkpoints never do. A control has its
    difference to the best of its kind, and no place. Holm's correction is over all bests of a summary against their runners-up, for each
    metric.
    """
    rows: dict[int, list[Difference]] = {}
    problems: list[str] = []
    contending = [record for record in records if _contends(record) and _is_among(record, among)]
    for kind, goal in GOALS.items():
        found: list[tuple[Record, Difference]] = []
        taken = _Taken(goal)
        for ending, group, members in _groups([record for record in contending if record.kind == kind], goal, on):
            found += _compared(taken, f"{goal.difference}_{ending}", group, members)
        problems += taken.problems
        for record, row in _corrected(found):
            rows.setdefault(id(record), []).append(row)
    return rows, unique(problems)


def _contends(record: Record) -> bool:
    """Whether a record is of a method that competes, or of a control, which is compared with those that do."""
    return not checkpoint(record.provenance) and (competes(record.method) or is_control(record.method))


def _is_among(record: Record, among: Collection[Run] | None) -> bool:
    """Whether a record's run is one of these, or, where there are none to choose from, no variant."""
    return not is_variant(record.method) if among is None else (record.model, record.method, record.ratio) in among


def _groups(records: Sequence[Record], goal: Goal, on: Collection[str] | None) -> Iterator[tuple[str, Group, list[Record]]]:
    """The groups with the ending of their metric: of each kind, and of all kinds where there are several."""
    found: dict[Group, list[Record]] = {}
    for record in records:
        for row in record.results:
            if row.metric != goal.metric or (on is not None and row.dataset not in on):
                continue
            if (row.dataset in record.detail or row.dataset == AVERAGE) and not in_group(row.dataset):
                tasks = tuple(sorted(record.detail)) if row.dataset == AVERAGE else ()
                found.setdefault(Group(record.model, record.ratio, row.dataset, tasks, kind_text(record)), []).append(record)
    whole: dict[Group, list[Record]] = {}
    for group, members in found.items():
        yield OF_KIND, group, members
        competing = [record for record in members if competes(record.method)]
        whole.setdefault(group._replace(kind=""), []).extend(competing)
    for group, members in whole.items():
        if len(unique(map(kind_text, members))) > 1:
            yield OF_ALL, group, members


class _Taken:
    """The differences of pairs of records, each pair compared once for all data sets."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.problems: list[str] = []
        self._found: dict[tuple[int, int], Mapping[str, Estimate]] = {}

    def __call__(self, record: Record, reference: Record, dataset: str) -> Estimate | None:
        """How far a record lies above another on a data set; None where the two cannot be compared, which is noted."""
        place = id(record), id(reference)
        if place not in self._found:
            pair = Comparison(record, reference, reference.method)
            wrong = list(mismatches(pair))
            self.problems += wrong
            self._found[place] = {} if wrong else self.goal.taken(pair)
        return self._found[place].get(dataset)


def _compared(taken: _Taken, metric: str, group: Group, members: Sequence[Record]) -> Iterator[tuple[Record, Difference]]:
    """Each member of a group beside the best other one that competes."""
    goal = taken.goal

    def worth(record: Record) -> float:
        value = next(row.value for row in record.results if (row.dataset, row.metric) == (group.dataset, goal.metric))
        return value if goal.low else -value

    ranking = sorted((record for record in members if competes(record.method)), key=worth)
    places = {id(record): place for place, record in enumerate(ranking, 1)}
    for record in members:
        rivals = [rival for rival in ranking[:2] if rival is not record]
        gap = taken(record, rivals[0], group.dataset) if rivals else None
        if gap is not None:
            told = {"rival": rivals[0].method, "place": places.get(id(record))}
            yield record, row_of(group.dataset, metric, gap, count_of(record, group.dataset, goal.metric), **told)


def _corrected(found: Sequence[tuple[Record, Difference]]) -> Iterator[tuple[Record, Difference]]:
    """The differences with Holm's correction of those of the best, for each metric."""
    best = [place for place, (_, row) in enumerate(found) if row.place == 1]
    corrected: dict[int, float] = {}
    for metric in unique(found[place][1].metric for place in best):
        family = [place for place in best if found[place][1].metric == metric]
        corrected |= dict(zip(family, adjusted([found[place][1].p for place in family]), strict=True))
    for place, (record, row) in enumerate(found):
        yield record, replace(row, p_holm=corrected.get(place, row.p_holm))
