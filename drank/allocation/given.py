"""A plan that a user gives: read from its file, which a person may have written, and held against the groups that it is to be for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drank.models.groups import Shape
from drank.runtime.files import file_hash, read_json
from drank.runtime.shortened import some

SPARE = 0.01
"""The share of the uncompressed parameters that a plan may leave of its budget, beside what rounding leaves."""

FORM = "a plan is the JSON that a run leaves in results/plans/MODEL/METHOD/RATIO.json"


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "role": ("a text", lambda value: isinstance(value, str)),
    "layers": ("a list of layers", lambda value: isinstance(value, list) and bool(value) and all(_whole(layer, 0) for layer in value)),
    "rows": ("a whole number above 0", lambda value: _whole(value, 1)),
    "columns": ("a whole number above 0", lambda value: _whole(value, 1)),
    "storage": ("a text", lambda value: isinstance(value, str)),
    "rank": ("a whole number above 0", lambda value: _whole(value, 1)),
    "dense": ("true or false", lambda value: isinstance(value, bool)),
}
"""What each group of a plan has to say, and in what form; whatever else stands there follows from these, and is not read."""


@dataclass(frozen=True)
class GivenGroup:
    """A group as a given plan has it: its shape, its rank, and whether it is stored dense."""

    shape: Shape
    rank: int
    dense: bool

    @property
    def stored(self) -> int:
        """The numbers that it stores."""
        return self.shape.dense_parameters if self.dense else self.shape.parameters(self.rank)


@dataclass(frozen=True)
class Given:
    """The groups of a plan by name, where it lies, its SHA-256, and the ratio and the method that it says it is of, None where it does not.

    Its ranks are multiples of `multiple`, where it says so and they are, which is how much a step of one leaves of a budget.
    """

    place: str
    groups: Mapping[str, GivenGroup]
    sha256: str
    ratio: float | None = None
    method: str | None = None
    multiple: int = 1

    @classmethod
    def read(cls, path: str | Path) -> Given:
        """The plan in a file; ValueError naming everything for which it is none."""
        try:
            data = read_json(path)
        except OSError as error:
            raise ValueError(f"plan {path} cannot be read ({error.strerror or error}); name a file that is there: {FORM}") from error
        except ValueError as error:
            raise ValueError(f"plan {path} cannot be read ({error}): {FORM}") from error
        rows = data.get("groups") if isinstance(data, dict) else None
        if not isinstance(rows, list) or not rows:
            raise ValueError(f"plan {path} has no list of `groups`: {FORM}")
        ratio, settings = data.get("ratio"), data.get("settings")
        if faults := [*_form_faults(rows), *([f"its ratio {ratio!r} is no number"] if not _number(ratio) else [])]:
            raise ValueError(f"plan {path}: {'; '.join(faults)}: {FORM}")
        found = [
            GivenGroup(Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"], row["storage"]), row["rank"], row["dense"])
            for row in rows
        ]
        groups = {group.shape.name: group for group in found}
        if len(groups) < len(found):
            twice = [name for name in groups if sum(group.shape.name == name for group in found) > 1]
            raise ValueError(f"plan {path}: {some(twice)} stand there more than once; give every group one rank")
        method, multiple = data.get("method"), settings.get("rank_multiple", 1) if isinstance(settings, dict) else 1
        kept = _whole(multiple, 1) and all(_rounded(group, multiple) for group in found)
        stated = method if isinstance(method, str) else None
        return cls(str(path), groups, file_hash(path), ratio, stated, multiple if kept else 1)

    @property
    def identity(self) -> dict[str, str | None]:
        """What tells it from every other plan, wherever it lies: the SHA-256 of its file; and the method that it says it is of."""
        return {"sha256": self.sha256, "method": self.method}

    def ranks(self, shapes: Sequence[Shape], ratio: float, dense: bool) -> list[int]:
        """The ranks of these groups, in their order; with `dense` those that would be no smaller in factors are stored as they are.

        Raises ValueError naming everything in the plan that these groups cannot have at this ratio.
        """
        alike = [shape for shape in shapes if shape.name in self.groups and self.groups[shape.name].shape == shape]
        faults = [*self._ratio_faults(ratio), *self._group_faults(shapes), *self._rank_faults(alike, dense)]
        if faults := faults or [*self._budget_faults(shapes, ratio)]:
            raise ValueError(f"plan {self.place}: {'; '.join(faults)}")
        return [self.groups[shape.name].rank for shape in shapes]

    def _ratio_faults(self, ratio: float) -> Iterator[str]:
        if self.ratio is not None and self.ratio != ratio:
            yield (
                f"it says that it is for ratio {self.ratio}, and ratio {ratio:g} is asked for; ask for its own, or name a file for each "
                "ratio by `{ratio}`"
            )

    def _group_faults(self, shapes: Sequence[Shape]) -> Iterator[str]:
        """What of its groups is not what the model has: names, sizes, storage."""
        known = {shape.name: shape for shape in shapes}
        absent, unknown = [name for name in known if name not in self.groups], [name for name in self.groups if name not in known]
        mine, theirs = (max(len(shape.layers) for shape in every) for every in (shapes, [group.shape for group in self.groups.values()]))
        hint = f"its groups are of {theirs} layers, set group: {theirs}" if mine != theirs else "name a plan of this very model"
        if absent:
            yield f"no rank for {some(absent)} ({hint})"
        if unknown:
            yield f"{some(unknown)} are no groups of this model ({hint})"
        pairs = [(known[name], group.shape) for name, group in self.groups.items() if name in known]
        if odd := [f"{own.name}: {_size(other)}, not {_size(own)}" for own, other in pairs if _size(own) != _size(other)]:
            yield f"groups of another size than the model's: {some(odd)}; name a plan of this very model"
        if stored := [other.name for own, other in pairs if own.storage != other.storage]:
            other = self.groups[stored[0]].shape.storage
            yield f"{some(stored)} stored as {other}, and the method stores {shapes[0].storage}; set storage: {other}, or name another plan"

    def _rank_faults(self, shapes: Sequence[Shape], dense: bool) -> Iterator[str]:
        """What of the ranks of these groups, whose shapes are the model's, they cannot have."""
        groups = [self.groups[shape.name] for shape in shapes]
        if high := [f"{g.shape.name}: {g.rank}, at most {g.shape.max_rank}" for g in groups if g.rank > g.shape.max_rank]:
            yield f"ranks past the largest: {some(high)}; lower them"
        kept = [group for group in groups if group.dense]
        if kept and not dense:
            named = some([group.shape.name for group in kept])
            yield f"{named} stored dense, and the method stores every group in factors; set dense_past_break_even: true, or dense: false"
        elif low := [f"{g.shape.name}: {g.rank}, not {g.shape.max_rank}" for g in kept if g.rank != g.shape.max_rank]:
            yield f"dense groups with another rank than their largest: {some(low)}; set that rank, or dense: false"
        past = [g for g in groups if not g.dense and g.rank <= g.shape.max_rank and g.stored >= g.shape.dense_parameters]
        if past and dense:
            told = some([f"{group.shape.name}: {group.rank}" for group in past])
            remedy = "set dense_past_break_even: false, lower them" if past[0].shape.form.past_break_even else "lower them"
            yield f"ranks that store no fewer numbers than the matrices: {told}; {remedy}, or set dense: true and the largest rank"

    def _budget_faults(self, shapes: Sequence[Shape], ratio: float) -> Iterator[str]:
        """What it stores in all, where that is not what the ratio leaves, as far as rounding can come to it.

        D-Rank's published code rounds the rank of each group, and ends its repair off the budget: above it a rank in every group is let
        pass. Below it so is a rank in every group too, a share beside that, and what ranks of a multiple leave of the budget of a kind of
        projection: less than a step of the largest group.
        """
        total, stored = sum(shape.dense_parameters for shape in shapes), sum(self.groups[shape.name].stored for shape in shapes)
        step, left = sum(shape.cost for shape in shapes), (1 - ratio) * total - stored
        largest = {shape.kind: shape.cost for shape in sorted(shapes, key=lambda shape: shape.cost)}
        if -step <= left <= SPARE * total + step + (self.multiple - 1) * sum(largest.values()):
            return
        really = round(1 - stored / total, 4)
        amount = f"{abs(left):.0f} {'fewer' if left > 0 else 'more'} than ratio {ratio:g} leaves"
        yield (
            f"it stores {stored} of {total} numbers, {amount}, which is ratio {really:g}; {'raise' if left > 0 else 'lower'} its ranks, or "
            f"ask for ratio {really:g}" + (", and correct the ratio that it says" if self.ratio is not None else "")
        )


def _number(ratio: Any) -> bool:
    return ratio is None or (isinstance(ratio, int | float) and not isinstance(ratio, bool))


def _rounded(group: GivenGroup, multiple: int) -> bool:
    return group.dense or group.rank % multiple == 0 or group.rank == group.shape.max_rank


def _size(shape: Shape) -> str:
    return f"layers {', '.join(map(str, shape.layers))} of {shape.rows} × {shape.columns}"


def _form_faults(rows: Sequence[Any]) -> Iterator[str]:
    """What groups of a plan do not say, or in another form than theirs."""
    if odd := [str(number) for number, row in enumerate(rows, start=1) if not isinstance(row, dict)]:
        yield f"groups that are no keys and values: number {some(odd)}"
    named = [(str(row.get("group", f"number {number}")), row) for number, row in enumerate(rows, start=1) if isinstance(row, dict)]
    for key, (form, fits) in KEYS.items():
        if lacking := [name for name, row in named if key not in row]:
            yield f"no {key} of {some(lacking)}"
        if wrong := [f"{name}: {row[key]!r}" for name, row in named if key in row and not fits(row[key])]:
            yield f"{key} that is not {form}: {some(wrong)}"
