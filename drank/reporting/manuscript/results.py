"""What the text says of each table and figure: a sentence that follows from its numbers, which it quotes by their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from drank.reporting.contests import OF_ALL, OF_KIND
from drank.reporting.manuscript.exhibits import Exhibit
from drank.reporting.manuscript.quotes import Run, key
from drank.reporting.material import Material
from drank.reporting.names import BASELINE, DENSE, competes, escape, listed, method_name, percent
from drank.reporting.neighbours import where
from drank.reporting.over_draws import shown
from drank.reporting.report.verdict import FOCUS
from drank.reporting.tables.marks import DIFFERENCES
from drank.runtime.grouping import AVERAGE
from drank.statistics.holm import LEVEL
from drank.variants import SYMBOLS, is_variant, written

GOALS = {"perplexity": ("the lowest perplexity", True, ""), "accuracy": ("the highest average accuracy", False, "\\,\\%")}
"""The quantities that methods compete in: what the best has, whether low values are good, and the unit."""


class Place(NamedTuple):
    """Where methods meet: a model, a ratio and a data set."""

    model: str
    ratio: float
    dataset: str

    def __str__(self) -> str:
        where = "at" if self.dataset == AVERAGE else f"on {escape(self.dataset)} at"
        return f"{where} {escape(percent(self.ratio))} ({escape(self.model)})"


def sentence(exhibit: Exhibit, quotes: Mapping[str, str]) -> str:
    """What a table or figure shows, in LaTeX; raises KeyError where it would quote a number that no file of macros has."""
    rules = (_varied, _contests, _differences, _speeds, _spectra, _plans)
    told = [text for tell in rules for text in tell(exhibit, Teller(exhibit.name, quotes))]
    caption = exhibit.tables[0].caption if exhibit.tables else exhibit.caption
    first, *more = told or [f"this stands: {escape(caption.partition('. ')[0].rstrip('.'))}."]
    return " ".join([f"In {exhibit.named}, {first}", *(f"{text[0].upper()}{text[1:]}" for text in more)])


class Teller(NamedTuple):
    """Quotes the numbers of one artefact."""

    artefact: str
    quotes: Mapping[str, str]

    def __call__(self, run: Run, *place: str) -> str:
        """The macro that prints a number; KeyError where no macro will."""
        found = key(self.artefact, run, *place)
        if found not in self.quotes:
            raise KeyError(f"the text quotes {found}, which is no number of {self.artefact}; write its macros from the same material")
        return f"\\drank{{{found}}}"

    def beside(self, run: Run, *place: str) -> str:
        """What has been published of a run, in brackets behind ours; empty where nothing has."""
        return f" (published: {self(run, *place, 'published')})" if key(self.artefact, run, *place, "published") in self.quotes else ""


def _contests(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """Who is best how often, and how the first of these contests ends."""
    for metric, (goal, low, unit) in GOALS.items():
        contests = _rankings(exhibit.material, metric, low=low) if metric in exhibit.shown else {}
        if not contests:
            continue
        (leader, most), count = Counter(ranking[0] for ranking in contests.values()).most_common(1)[0], len(contests)
        where = f"in all {count} comparisons" if most == count else f"in {most} of {count} comparisons"
        place, (first, second, *_) = next(iter(contests.items()))
        told = []
        for label, ratio in ((first, place.ratio), (second, place.ratio), (DENSE, 0.0)):
            run = Run(place.model, label, ratio)
            if key(quote.artefact, run, place.dataset, metric) in quote.quotes:
                value, beside = quote(run, place.dataset, metric), quote.beside(run, place.dataset, metric)
                told.append(f"{value}{unit} {f'with {_method(label)}' if ratio else 'uncompressed'}{beside}")
        yield f"{_method(leader)} has {goal} {where if count > 1 else 'in the only comparison'}: {place} it is {listed(told)}."
        yield from _tested(exhibit.material, metric, contests)


def _tested(material: Material, metric: str, contests: Mapping[Place, list[str]]) -> Iterator[str]:
    """How often the best is told apart from the second, whatever their kinds."""
    numbers = material.numbers[material.numbers["place"] == 1]
    found: dict[Place, float] = {}
    for ending in (OF_KIND, OF_ALL):  # the latter is there where kinds differ, and then it is the one that holds for all
        for row in numbers[numbers["metric"] == f"{DIFFERENCES[metric]}_{ending}"].to_dict("records"):
            place = Place(row["model"], float(row["ratio"]), row["dataset"])
            if contests.get(place, [""])[0] == row["label"]:
                found[place] = row["p_holm"]
    if found:
        told = sum(value < LEVEL for value in found.values())
        rule = "a paired test at 5\\,\\% after Holm's correction tells the best apart from the second"
        yield f"{rule} in {told} of {len(found)} comparison{'s' if len(found) > 1 else ''}."


def _rankings(material: Material, metric: str, *, low: bool) -> dict[Place, list[str]]:
    """The labels that compete at each place, the best first; an average stands for its tasks, and places of one label are none."""
    rows = material.numbers[material.numbers["metric"] == metric]
    found: dict[Place, dict[str, float]] = {}
    for row in rows.to_dict("records"):
        if competes(row["label"]) and not row["checkpoint"] and (metric != "accuracy" or row["dataset"] == AVERAGE):
            found.setdefault(Place(row["model"], float(row["ratio"]), row["dataset"]), {})[row["label"]] = shown(row)
    ranked = {place: sorted(values, key=lambda label: values[label] if low else -values[label]) for place, values in found.items()}
    return {place: labels for place, labels in ranked.items() if len(labels) > 1}


def _varied(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """Over each axis that a method is run along, from where to where its perplexity goes."""
    numbers, axes = exhibit.material.numbers, exhibit.material.axes
    for axis in axes if "perplexity" in exhibit.shown else ():
        rows = numbers[(numbers["metric"] == "perplexity") & numbers[axis].notna()]
        fixed = ["model", "method", "ratio", "dataset", *(other for other in axes if other != axis)]
        series = [found.drop_duplicates("label") for _, found in rows.groupby(fixed, dropna=False, sort=False) if found[axis].nunique() > 1]
        for found in sorted(series, key=lambda one: one["method"].iloc[0] != FOCUS)[:1]:
            low, high = _ends(found)
            ends = [f"{quote(_run(row), row['dataset'], 'perplexity')} ({_value(axis, row[axis])})" for row in (low, high)]
            what = f"the perplexity of {_method(low['method'])} {Place(low['model'], float(low['ratio']), low['dataset'])}"
            yield f"over {len(found)} values of {AXES.get(axis, axis.replace('_', ' '))}, {what} goes from {ends[0]} to {ends[1]}."


def _differences(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """How often each method differs from the baseline by more than chance, as paired intervals of perplexity have it."""
    metric, told = f"perplexity_minus_{BASELINE}", []
    for label, found in _rows(exhibit, metric).groupby("label", sort=False):
        if is_variant(str(label)) or not competes(str(label)):
            continue
        better, worse = int((found["ci_high"] < 0).sum()), int((found["ci_low"] > 0).sum())
        span = " to ".join(quote(_run(row), row["dataset"], metric) for row in _ends(found))
        told.append(f"{_method(str(label))} in {better} and {worse} of {len(found)} comparisons (differences of {span})")
    if told:
        yield f"perplexity is below and above that of {_method(BASELINE)}, by paired intervals that exclude zero, for {listed(told)}."


def _rows(exhibit: Exhibit, metric: str) -> pd.DataFrame:
    """The numbers of one metric, once for each run; none where it is not shown."""
    numbers, place = exhibit.material.numbers, ["model", "label", "ratio", "dataset", "checkpoint"]
    return numbers[numbers["metric"] == metric].drop_duplicates(place) if metric in exhibit.shown else pd.DataFrame(columns=place)


def _ends(found: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The rows of the lowest and of the highest value."""
    values = [shown(row) for row in found.to_dict("records")]
    return found.iloc[values.index(min(values))], found.iloc[values.index(max(values))]


def _speeds(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """Which of those that compete is fastest in each phase, against the uncompressed model."""
    metric, rows = "speedup_over_dense", _rows(exhibit, "speedup_over_dense")
    ours = rows[(rows["checkpoint"] == "") & rows["label"].map(competes).astype(bool)]
    for phase, found in ours.groupby("dataset", sort=False):
        best = found.loc[found["value"].idxmax()]
        who = f"{_method(best['label'])} at {escape(percent(float(best['ratio'])))} ({escape(best['model'])})"
        speed, place = quote(_run(best), str(phase), metric), where(exhibit.material.numbers)
        yield f"the fastest {escape(str(phase))}{place}, by {who}, is {speed} times that of the uncompressed model."


def _spectra(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """Between which groups the effective rank of a model lies."""
    for spectrum in exhibit.material.spectra if "effective_rank" in exhibit.shown else ():
        run = Run(spectrum["model"], spectrum["spectrum"], 0.0)
        ordered = sorted(spectrum["groups"], key=lambda row: row["effective_rank"])
        ends = [f"{quote(run, row['group'], 'effective_rank')} (group {escape(row['group'])})" for row in (ordered[0], ordered[-1])]
        yield f"the effective rank of {escape(run.model)} goes from {ends[0]} to {ends[1]}."


def _plans(exhibit: Exhibit, quote: Teller) -> Iterator[str]:
    """Between which groups the ranks of each model's most uneven plan lie."""
    plans = exhibit.material.plans if "rank" in exhibit.shown else ()
    for model in dict.fromkeys(plan.model for plan in plans):
        plan = max((plan for plan in plans if plan.model == model), key=lambda plan: (plan.method == FOCUS, plan.ratio))
        run, ordered = Run(plan.model, plan.method, plan.ratio), sorted(plan.groups, key=lambda group: group.rank)
        ends = [f"{quote(run, group.shape.name, 'rank')} (group {escape(group.shape.name)})" for group in (ordered[0], ordered[-1])]
        yield f"ranks of {_method(plan.method)} at {escape(percent(plan.ratio))} ({escape(model)}) go from {ends[0]} to {ends[1]}."


AXES = {
    "group": "the group size",
    "beta": "$\\beta$",
    "corpus": "the calibration corpus",
    "draw": "the draw of the calibration text",
    "windows": "the number of calibration windows",
}
"""Axes that a sentence calls other than they are written."""


def _run(row: pd.Series) -> Run:
    return Run(row["model"], row["label"], float(row["ratio"]))


def _value(axis: str, value: object) -> str:
    return escape(f"{SYMBOLS.get(axis, axis.replace('_', ' '))} {written(value)}")


def _method(label: str) -> str:
    return escape(method_name(label))
