"""What to doubt: sentences that follow from records, plans and numbers alone, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from drank.allocation.plan import Plan
from drank.reporting.comparisons import AVERAGE
from drank.reporting.names import competes, method_name, unique
from drank.reporting.records import Record
from drank.reporting.report.beginnings import unseen
from drank.reporting.tables.numbers import Numbers
from drank.variants import is_variant

WINDOWS = 30
"""Windows of a text below which a bootstrap over them is too narrow, and a few odd ones carry the number."""

TOKENS = 40
"""Tokens of calibration text for each channel of the widest input below which second moments are poorly known."""

CLEAR = 4.0
"""Standard errors above chance from which on a task can show what compression destroys."""


class Doubt(NamedTuple):
    """What is to be doubted, and of which model; of none where it holds for all that was measured."""

    model: str
    text: str


class Known(NamedTuple):
    """What a report is made of: the records, their numbers by model, and the plans at hand."""

    records: Sequence[Record]
    models: Sequence[Numbers]
    plans: Sequence[Plan]

    @property
    def competing(self) -> list[Record]:
        """The records of methods that compete and that read a calibration text."""
        found = [record for record in self.records if competes(record.method) and not is_variant(record.method)]
        return [record for record in found if "corpus" in (record.provenance["calibration"] or {})]


def doubts(records: Sequence[Record], models: Sequence[Numbers], plans: Sequence[Plan]) -> list[str]:
    """The sentences, in the order of `DOUBTS`, one for all models of which the same is to be said; none where nothing gives cause."""
    known = Known(records, models, plans)
    found: dict[str, list[str]] = {}
    for doubt in DOUBTS:
        for model, text in doubt(known):
            found.setdefault(text, []).extend([model] if model else [])
    return [f"{', '.join(of)}: {text}" if of else text for text, of in found.items()]


def few_draws(known: Known) -> Iterator[Doubt]:
    """Methods that were calibrated on a single draw of their text: luck of the draw is in no interval."""
    seeds: dict[str, dict[tuple[str, float], set[Any]]] = {}
    for record in known.competing:
        of_method = seeds.setdefault(record.model, {}).setdefault((record.method, record.ratio), set())
        of_method.update(_seeds(record.provenance["calibration"]))
    for model, found in seeds.items():
        single = {place: next(iter(drawn)) for place, drawn in found.items() if len(drawn) == 1}
        if single:
            drawn = unique(str(seed) for seed in single.values())
            yield Doubt(
                model,
                f"{len(single)} of {len(found)} compressed models that read a calibration text were made from one draw of it "
                f"(seed {' or '.join(drawn)}). Intervals tell how numbers vary over the text that is measured on, not over the draw.",
            )


def _seeds(facts: dict[str, Any]) -> list[Any]:
    """The seeds of the draws that a number rests on."""
    seed = facts.get("seed")
    return [one for one in (seed if isinstance(seed, list) else [seed]) if one is not None]


def few_windows(known: Known) -> Iterator[Doubt]:
    """Texts that are measured on in few windows."""
    found: dict[tuple[str, int], list[str]] = {}
    for record in known.records:
        for dataset, told in record.detail.items() if record.kind == "perplexity" else ():
            if (count := len(told["window_loss"])) < WINDOWS:
                found.setdefault((record.model, count), []).append(dataset)
    for (model, count), datasets in found.items():
        yield Doubt(
            model,
            f"perplexity on {', '.join(unique(datasets))} rests on {count} window{'s' if count > 1 else ''} of text, fewer than {WINDOWS}: "
            "its intervals are too narrow, and a few odd windows decide.",
        )


def little_calibration(known: Known) -> Iterator[Doubt]:
    """Calibration texts that are short for the widest input of their model, as far as a plan tells of it."""
    widest = {
        model: max(group.shape.rows for plan in known.plans if plan.model == model for group in plan.groups) for model in _planned(known)
    }
    found: dict[tuple[str, int], list[str]] = {}
    for record in known.competing:
        facts = record.provenance["calibration"]
        tokens = int(facts["windows"]) * int(facts["length"])
        if tokens < TOKENS * widest.get(record.model, 0):
            found.setdefault((record.model, tokens), []).append(method_name(record.method))
    for (model, tokens), methods in found.items():
        width = widest[model]
        yield Doubt(
            model,
            f"calibration on {_spaced(tokens)} tokens is {tokens / width:.1f} for each of the {_spaced(width)} channels of the widest "
            f"input, fewer than {TOKENS}, so that methods may fit this text rather than the model ({', '.join(unique(methods))}).",
        )


def _planned(known: Known) -> list[str]:
    return unique(plan.model for plan in known.plans if plan.groups)


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def near_chance(known: Known) -> Iterator[Doubt]:
    """Tasks at which the dense model itself does little better than guessing."""
    for numbers in known.models:
        weak = []
        for task in numbers.datasets("accuracy") if numbers.dense else ():
            value = numbers.get(numbers.dense, task, "accuracy") if numbers.dense and task != AVERAGE else None
            if value is not None and value.stderr > 0 and value.value - value.chance < CLEAR * value.stderr:
                weak.append(f"{task} {100 * value.value:.1f} ± {100 * value.stderr:.1f} against {100 * value.chance:.1f}\u202f%")
        if weak:
            text = f"the uncompressed model is near guessing, so that nothing can be seen to be lost, at {'; '.join(weak)}."
            yield Doubt(numbers.model, text)


def begun_otherwise(known: Known) -> Iterator[Doubt]:
    """Texts that began otherwise than the family of their model needs."""
    yield from (Doubt("", sentence) for sentence in unseen(known.records))


def own_text(known: Known) -> Iterator[Doubt]:
    """Texts whose corpus methods were calibrated on too: another split of it, but no other kind of text."""
    read: dict[tuple[str, str], list[str]] = {}
    for record in known.competing:
        facts = record.provenance["calibration"]
        if record.kind == "perplexity" and facts["corpus"] in record.detail:
            read.setdefault((record.model, facts["corpus"]), []).append(method_name(record.method))
    for (model, corpus), methods in read.items():
        count = len(unique(methods))
        yield Doubt(
            model,
            f"{corpus} is the corpus that {count} method{'s' if count > 1 else ''} calibrated on as well; what is gained there is "
            "gained on text of one kind, and may be less on another.",
        )


def unlike_conditions(known: Known) -> Iterator[Doubt]:
    """Numbers that come from uncommitted code, from several commits, or from several machines."""
    trees = [record.provenance["git"] for record in known.records]
    dirty = sum(bool(tree and tree["dirty"]) for tree in trees)
    if dirty:
        yield Doubt("", f"{dirty} of {len(trees)} records come from code with uncommitted changes, which nobody can check out.")
    commits = unique(tree["commit"][:12] for tree in trees if tree)
    if len(commits) > 1:
        yield Doubt("", f"Records come from {len(commits)} commits ({', '.join(commits)}).")
    machines = unique(
        f"{record.provenance['machine']['cpu']}{', ' + gpu if (gpu := record.provenance['machine']['gpu']) else ''}"
        for record in known.records
    )
    if len(machines) > 1:
        named = f"{len(machines)} machines ({'; '.join(machines)})"
        yield Doubt("", f"Records come from {named}: times and speeds do not compare, and numbers may differ by rounding.")


DOUBTS: tuple[Callable[[Known], Iterator[Doubt]], ...] = (
    few_draws,
    few_windows,
    little_calibration,
    own_text,
    near_chance,
    begun_otherwise,
    unlike_conditions,
)
"""What may be doubted, each a function that says so."""
