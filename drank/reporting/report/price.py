"""What the best by perplexity costs beside the others: the time to make it, and its speed; and what no method is, yet could be used."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from drank.evaluation.rates import BY_VLLM
from drank.reporting.names import BASELINE, listed, method_name, number, percent, span
from drank.reporting.neighbours import IN_VLLM
from drank.reporting.report.method_table import Chains, seconds_by_step
from drank.reporting.report.winners import Contest, best_of_all
from drank.reporting.tables.numbers import SIZE, Entry, Numbers
from drank.runtime.log import duration

GAP = "log_perplexity_gap_to_dense"

PHASES = {"decode": "generates", "prefill": "reads prompts"}
"""What a model does in each phase of the throughput, in words."""

Place = tuple[Numbers, Entry]


def price(models: Sequence[Numbers], decided: Sequence[Contest], chains: Chains) -> list[str]:
    """A sentence for each method that has the lowest perplexity anywhere, and one for each model of which checkpoints are at hand.

    `chains` says where the time that each step took is to be found; nothing is said of what was not measured.
    """
    by_name = {numbers.model: numbers for numbers in models}
    places: dict[str, list[Place]] = {}
    for one in best_of_all(decided):
        places.setdefault(one.method, []).append((by_name[one.model], Entry(one.method, one.ratio)))
    once = {method: list(dict.fromkeys(found)) for method, found in places.items()}
    told = {method: [*_making(found, chains), *_speeds(found)] for method, found in once.items()}
    sentences = [f"What {method_name(method)} costs: {'; '.join(said)}." for method, said in told.items() if said]
    return [*sentences, *(sentence for numbers in models for sentence in _instead(numbers))]


def _making(places: Sequence[Place], chains: Chains) -> Iterator[str]:
    """How long a method takes to make beside SVD-LLM at the same places, where all times of both are there."""
    pairs = {}
    for numbers, entry in places:
        own, other = (_seconds(chains, numbers.model, method, entry.ratio) for method in (entry.method, BASELINE))
        if own and other and entry.method != BASELINE:
            pairs[numbers, entry] = own, other
    if pairs:
        times = span((own / other for own, other in pairs.values()), 1)
        most, beside = max(pairs.values())
        yield (
            f"it takes {times} times as long to make as {method_name(BASELINE)}{_where(pairs, places)}, at most {duration(most)} against "
            f"{duration(beside)}, all steps of compressing counted"
        )


def _seconds(chains: Chains, model: str, method: str, ratio: float) -> float:
    """What all steps on the way to a model took; 0 where the time of one is not there."""
    taken = seconds_by_step(chains, model, method, ratio).values()
    return 0.0 if None in taken else sum(seconds for seconds in taken if seconds is not None)


def _speeds(places: Sequence[Place]) -> Iterator[str]:
    """How fast a method's models are over the dense one timed beside them, and how fast those of the other methods."""
    for phase, does in PHASES.items():
        timed = [(numbers, entry) for numbers, entry in places if _speed(numbers, entry, phase)]
        rivals = {(numbers, rival): None for numbers, entry in timed for rival in numbers.competing(entry.ratio)}
        others = [value for place in rivals if place not in timed for value in _speed(*place, phase)]
        if timed:
            own = span((value for place in timed for value in _speed(*place, phase)), 2)
            whose = "the other method" if len(others) == 1 else "the other methods"
            beside = f" ({whose} at {span(others, 2)} ×)" if others else ""
            yield f"it {does}{_engine(timed)} at {own} × the speed of the dense model{_where(timed, places)}{beside}"


def _engine(places: Sequence[Place]) -> str:
    """In what models were timed, where that was not transformers."""
    return IN_VLLM if any(numbers.get(entry, "machine", BY_VLLM) for numbers, entry in places) else ""


def _where(some: Collection[Place], places: Collection[Place]) -> str:
    """At which of the places something was measured; nothing where it was at all of them."""
    if len(some) == len(places):
        return ""
    ratios: dict[str, list[str]] = {}
    for numbers, entry in some:
        ratios.setdefault(numbers.model, []).append(percent(entry.ratio))
    return f" on {listed([f'{model} at {listed(found)}' for model, found in ratios.items()])}"


def _speed(numbers: Numbers, entry: Entry, phase: str) -> list[float]:
    """The speed of a model over dense, nothing where it was not timed."""
    found = numbers.get(entry, phase, "speedup_over_dense")
    return [] if found is None else [found.value]


def _instead(numbers: Numbers) -> Iterator[str]:
    """What checkpoints that no method of ours made store and lose, beside the low-rank model that loses least on the same corpora."""
    theirs = {entry: lost for entry in numbers.theirs if (lost := _losses(numbers, entry))}
    corpora = [corpus for corpus in numbers.datasets("perplexity") if theirs and all(corpus in lost for lost in theirs.values())]
    ours = {entry: _losses(numbers, entry) for ratio in numbers.ratios for entry in numbers.competing(ratio)}
    ours = {entry: lost for entry, lost in ours.items() if corpora and all(corpus in lost for corpus in corpora)}
    if not ours:
        return

    def told(entry: Entry, lost: Mapping[str, float]) -> str:
        name = f"{method_name(entry.method)}{f' at {percent(entry.ratio)}' if entry.ratio else ''}"
        speed = _speed(numbers, entry, "decode")
        runs = f" and {PHASES['decode']}{_engine([(numbers, entry)])} at {span(speed, 2)} × the speed of the dense model" if speed else ""
        return (
            f"{name} loses {span((lost[corpus] for corpus in corpora), 3)} nats per token with {_share(numbers, entry)} of the bytes{runs}"
        )

    least = min(ours, key=lambda entry: sum(ours[entry][corpus] for corpus in corpora))
    instead = "; ".join(told(*pair) for pair in theirs.items())
    average = "on average " if len(corpora) > 1 else ""
    yield (
        f"What none of these methods made, and so competes in none of this, could be used instead: {instead}; of their models of "
        f"{numbers.model} {told(least, ours[least])}, the least {average}on {listed(corpora)}. Bytes are those of the dense model with "
        f"{_bits(numbers)} bits a number."
    )


def _losses(numbers: Numbers, entry: Entry) -> dict[str, float]:
    """Nats per token over the dense model by corpus, of the perplexity as it is shown: the difference is that of the first draw."""
    found = {corpus: [numbers.get(entry, corpus, metric) for metric in (GAP, "perplexity")] for corpus in numbers.datasets("perplexity")}
    return {corpus: gap.value + math.log(own.shown / own.value) for corpus, (gap, own) in found.items() if gap and own}


def _share(numbers: Numbers, entry: Entry) -> str:
    """What a model stores, in percent of the dense one."""
    stored, dense = (numbers.get(one, SIZE, "bytes") for one in (entry, numbers.dense or entry))
    return f"{100 * stored.value / dense.value:.0f}\u202f%" if stored and dense else "an unknown share"


def _bits(numbers: Numbers) -> str:
    """Of how many bits each number of the dense model is, as stored bytes are counted."""
    parameters, stored = (numbers.get(numbers.dense, SIZE, name) for name in ("parameters", "bytes")) if numbers.dense else (None, None)
    return number(8 * stored.value / parameters.value, 0) if parameters and stored else "an unknown number of"
