"""What to doubt: sentences that follow from records and numbers alone, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from drank.reporting.names import competes, corpus_of, listed, method_name, percent, unique
from drank.reporting.records import Record
from drank.reporting.report.beginnings import unseen
from drank.reporting.report.floor import floors
from drank.reporting.report.seen import fitted, seen
from drank.reporting.tables.numbers import Numbers
from drank.runtime.grouping import AVERAGE
from drank.variants import is_variant, without

WINDOWS = 30
"""Windows of a text below which a few odd ones may carry the number, and its interval with it."""

CLEAR = 4.0
"""Standard errors above chance from which on a task can show what compression destroys."""


class Doubt(NamedTuple):
    """What is to be doubted, and of which model; of none where it holds for all that was measured."""

    model: str
    text: str


class Known(NamedTuple):
    """What a report is made of: the records, and their numbers by model."""

    records: Sequence[Record]
    models: Sequence[Numbers]

    def calibrated(self, *, drawn_again: bool = False) -> list[Record]:
        """The records of methods that compete and read a calibration text, with those on further draws of it where asked for."""
        found = [record for record in self.records if "corpus" in (record.provenance["calibration"] or {}) and competes(record.method)]
        return [record for record in found if not is_variant(without(record.method, "draw") if drawn_again else record.method)]


def doubts(records: Sequence[Record], models: Sequence[Numbers]) -> list[str]:
    """The sentences, in the order of `DOUBTS`, one for all models of which the same is to be said; none where nothing gives cause."""
    known = Known(records, models)
    found: dict[str, list[str]] = {}
    for doubt in DOUBTS:
        for model, text in doubt(known):
            found.setdefault(text, []).extend([model] if model else [])
    return [f"{', '.join(of)}: {text}" if of else text for text, of in found.items()]


def few_draws(known: Known) -> Iterator[Doubt]:
    """Methods that were calibrated on a single draw of their text: luck of the draw is in no interval."""
    seeds: dict[str, dict[tuple[str, float], set[Any]]] = {}
    for record in known.calibrated(drawn_again=True):
        of_method = seeds.setdefault(record.model, {}).setdefault((without(record.method, "draw"), record.ratio), set())
        of_method.update(_seeds(record.provenance["calibration"]))
    for model, found in seeds.items():
        single = {place: next(iter(drawn)) for place, drawn in found.items() if len(drawn) == 1}
        if single:
            drawn = unique(str(seed) for seed in single.values())
            named = unique(method_name(method) for method, _ in single)
            yield Doubt(
                model,
                f"{len(single)} of {len(found)} compressed models that read a calibration text were made from one draw of it "
                f"(seed {' or '.join(drawn)}): {listed(named)}. Intervals tell how numbers vary over the text that is measured on, not "
                "over the draw.",
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
            "a few odd windows decide it, and its interval with it.",
        )


def seen_text(known: Known) -> Iterator[Doubt]:
    """Texts that models were made on as good as whole, and calibration texts that are short for the widest input."""
    yield from (Doubt("", sentence) for sentence in seen(known.records))


def partly_measured(known: Known) -> Iterator[Doubt]:
    """Methods that were not measured on every text on which others compete, and ratios at which none was."""
    for numbers in known.models:
        lacking: dict[tuple[str, str], list[str]] = {}
        everywhere = unique(corpus for ratio in numbers.ratios for corpus in numbers.compared(ratio, "perplexity"))
        for ratio in numbers.ratios:
            ranked = {corpus: numbers.ranking(ratio, corpus, "perplexity") for corpus in numbers.compared(ratio, "perplexity")}
            if nowhere := [corpus for corpus in everywhere if ranked and corpus not in ranked]:
                lacking.setdefault(("nothing", f"on {listed(nowhere)}"), []).append(percent(ratio))
            present = {corpus: {entry for entry, _ in ranking} for corpus, ranking in ranked.items()}
            for entry in [entry for entry in numbers.competing(ratio) if not is_variant(entry.method)]:
                absent = [corpus for corpus, entries in present.items() if entry not in entries]
                if absent:
                    lacking.setdefault((method_name(entry.method), f"not on {listed(absent)}"), []).append(percent(ratio))
        if lacking:
            told = "; ".join(f"{who} at {listed(ratios)} {where}" for (who, where), ratios in lacking.items())
            yield Doubt(numbers.model, f"not everything was compared on every text, and what was not neither wins nor loses there: {told}.")


def near_chance(known: Known) -> Iterator[Doubt]:
    """Tasks at which the dense model itself does little better than guessing."""
    for numbers in known.models:
        weak = []
        for task in numbers.datasets("accuracy") if numbers.dense else ():
            value = numbers.get(numbers.dense, task, "accuracy") if numbers.dense and task != AVERAGE else None
            if value is not None and value.value - value.chance <= CLEAR * value.stderr:
                weak.append(f"{task} {100 * value.value:.1f} ± {100 * value.stderr:.1f} against {100 * value.chance:.1f}\u202f%")
        if weak:
            text = (
                f"the uncompressed model is near guessing, fewer than {CLEAR:g} standard errors above it, so that little can be seen to be "
            )
            text += f"lost, at {'; '.join(weak)}."
            yield Doubt(numbers.model, text)


def at_the_floor(known: Known) -> Iterator[Doubt]:
    """Tasks at which a method does no better than one answer given to all."""
    yield from (Doubt("", sentence) for sentence in floors(known.models))


def begun_otherwise(known: Known) -> Iterator[Doubt]:
    """Texts that began otherwise than the family of their model needs."""
    yield from (Doubt("", sentence) for sentence in unseen(known.records))


def fitted_to_text(known: Known) -> Iterator[Doubt]:
    """How much more models lose on text that was not read than on text that was."""
    yield from (Doubt("", sentence) for sentence in fitted(known.records))


def own_text(known: Known) -> Iterator[Doubt]:
    """Texts whose corpus methods were calibrated on too: another split of it, but no other kind of text."""
    calibrated = known.calibrated()
    corpora = {record.provenance["calibration"]["corpus"] for record in calibrated}
    read: dict[tuple[str, str], list[str]] = {}
    for record in calibrated:
        own = record.provenance["calibration"]["corpus"]
        for text in record.detail if record.kind == "perplexity" else ():
            if corpus_of(text, corpora) == own:
                read.setdefault((record.model, text), []).append(method_name(record.method))
    for (model, text), methods in read.items():
        count, of = len(unique(methods)), "" if text in corpora else "of "
        yield Doubt(
            model,
            f"{text} is {of}the corpus that {count} method{'s' if count > 1 else ''} calibrated on as well; what is "
            "gained there is gained on text of one kind, and may be less on another.",
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
    seen_text,
    fitted_to_text,
    own_text,
    partly_measured,
    near_chance,
    at_the_floor,
    begun_otherwise,
    unlike_conditions,
)
"""What may be doubted, each a function that says so."""
