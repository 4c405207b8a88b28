"""Are the intervals right: `python -m benchmarks.coverage [--repeats 4000] [--seed 0]`, in a minute or two.

Draws windows and items with a difference that is known, and prints how often the 95 % interval of `drank.statistics` holds it: paired
differences in nats per token and in perplexity over 2 to 64 windows, beside them what a percentile bootstrap would cover; accuracy
over items that share passages, and shares of flips, with and without the passages; and how often, among methods that are all equally
good, a best is called better than its runner-up in any of many comparisons, with and without Holm's correction.

Windows are hard alike for both models, the last one is short, of one token or more, and what compression adds has heavy tails (Student, 3
degrees of freedom), is skewed (log-normal), or grows with how hard a window is.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drank.statistics.holm import adjusted
from drank.statistics.intervals import Interval, clustered_mean
from drank.statistics.paired import paired_difference, paired_items
from drank.statistics.proportions import proportion_of

FEW, WINDOWS = (2, 4), (16, 32, 64)
TOKENS = 511
NATS, SPREAD = 2.8, 0.4
"""The mean loss of the uncompressed model and how windows differ in it, in nats per token."""

FLIPS, ALIKE = (0.02, 0.1, 0.3), 0.3
"""True shares of flips, and how items of one passage are correlated in them."""

Floats = NDArray[np.float64]


class Drawn(NamedTuple):
    """The summed losses of two models on the same windows, the tokens of these, and the true mean losses."""

    losses: tuple[Floats, Floats]
    tokens: Floats
    truth: tuple[float, float]


class Harm(NamedTuple):
    """What compression adds to the loss of each window, in units of its mean, and that mean of what is drawn."""

    drawn: Callable[[np.random.Generator, Floats], Floats]
    mean: float


HARMS = {
    "normal": Harm(lambda random, hard: random.normal(1, 0.5, hard.size), 1),
    "heavy tails": Harm(lambda random, hard: 1 + 0.3 * random.standard_t(3, hard.size), 1),
    "skewed": Harm(lambda random, hard: np.exp(random.normal(0, 0.5, hard.size)), math.exp(0.125)),
    "harder, more": Harm(lambda random, hard: (hard / NATS) ** 2 * (1 + 0.3 * random.standard_t(4, hard.size)), 1 + (SPREAD / NATS) ** 2),
}
"""How a compression harms, by name."""


def windows(random: np.random.Generator, count: int, harm: Harm, harmed: tuple[float, float] = (0.15, 0.12)) -> Drawn:
    """Windows of two compressed models: what harms one harms the other alike in half, and each in half by itself."""
    tokens = np.full(count, float(TOKENS))
    tokens[-1] = random.integers(1, TOKENS)
    hard = random.normal(NATS, SPREAD, count)
    shared = harm.drawn(random, hard)
    losses = [tokens * (hard + size * (shared + harm.drawn(random, hard)) / 2) for size in harmed]
    return Drawn((losses[0], losses[1]), tokens, (NATS + harmed[0] * harm.mean, NATS + harmed[1] * harm.mean))


def bootstrap(drawn: Drawn, random: np.random.Generator, resamples: int = 500) -> tuple[float, float]:
    """The percentile interval of the difference in nats per token over resampled windows, as drank had it before."""
    count = len(drawn.tokens)
    chosen = random.multinomial(count, np.full(count, 1 / count), resamples)
    means = chosen @ (drawn.losses[0] - drawn.losses[1]) / (chosen @ drawn.tokens)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def coverage_of_windows(count: int, harm: Harm, repeats: int, random: np.random.Generator) -> dict[str, float]:
    """How often the true difference lies in the interval, of each way to draw it."""
    held = {"nats": 0, "perplexity": 0, "bootstrap": 0}
    for _ in range(repeats):
        drawn = windows(random, count, harm)
        nats, times = drawn.truth[0] - drawn.truth[1], math.exp(drawn.truth[0]) - math.exp(drawn.truth[1])
        found = paired_difference(drawn.losses[0], drawn.tokens, drawn.losses[1], drawn.tokens)
        held["nats"] += _holds(found.log_perplexity, nats)
        held["perplexity"] += _holds(found.perplexity, times)
        low, high = bootstrap(drawn, random)
        held["bootstrap"] += low <= nats <= high
    return {name: hits / repeats for name, hits in held.items()}


def items(random: np.random.Generator, passages: int, gap: float = 0.04) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """What two models get right, the second by `gap` more, over passages with one to seven items; a passage is easy or hard as a whole.

    A passage also suits one of the two better, so that their differences on it go together.
    """
    of = np.repeat(np.arange(passages), random.integers(1, 8, passages))
    easy, suits = random.uniform(0.25, 0.65, passages)[of], random.choice([-0.2, 0.2], passages)[of]
    draws = random.random(of.size)  # the same item is easy for both
    one = draws < easy
    two = np.where(random.random(of.size) < 0.5, draws, random.random(of.size)) < easy + suits + gap
    return one.astype(np.float64), two.astype(np.float64), of


def coverage_of_items(passages: int, repeats: int, random: np.random.Generator) -> dict[str, float]:
    """How often the true difference in accuracy lies in the interval, with the passages and as if every item stood alone."""
    held = {"by passage": 0, "by item": 0}
    for _ in range(repeats):
        one, two, of = items(random, passages)
        held["by passage"] += _holds(paired_items(two, one, [int(place) for place in of]).interval, 0.04)
        held["by item"] += _holds(paired_items(two, one).interval, 0.04)
    return {name: hits / repeats for name, hits in held.items()}


def coverage_of_flips(passages: int, share: float, repeats: int, random: np.random.Generator) -> dict[str, float]:
    """How often the true share of flips lies in the interval with the passages, as if every item stood alone, and by Student over passages.

    Passages have one to seven items, and a share of their own that is beta, so that their items are correlated by `ALIKE`.
    """
    held = {"by passage": 0, "by item": 0, "Student": 0}
    for _ in range(repeats):
        of = np.repeat(np.arange(passages), random.integers(1, 8, passages))
        chances = random.beta(share * (1 / ALIKE - 1), (1 - share) * (1 / ALIKE - 1), passages)
        hit, places = random.random(of.size) < chances[of], [int(place) for place in of]
        found = {"by passage": proportion_of(hit, places), "by item": proportion_of(hit)}
        for name, one in found.items():
            held[name] += one.low <= share <= one.high
        held["Student"] += _holds(clustered_mean(hit, places).interval, share)
    return {name: hits / repeats for name, hits in held.items()}


def false_claims(methods: int, corpora: int, count: int, harm: Harm, repeats: int, random: np.random.Generator) -> dict[str, float]:
    """How often equally good methods have, on any of the corpora, a best that is told from its runner-up."""
    claims = {"Holm": 0, "uncorrected": 0}
    for _ in range(repeats):
        found = [_best_of_equals(methods, count, harm, random) for _ in range(corpora)]
        claims["Holm"] += min(adjusted(found)) < 0.05
        claims["uncorrected"] += min(found) < 0.05
    return {name: times / repeats for name, times in claims.items()}


def _best_of_equals(methods: int, count: int, harm: Harm, random: np.random.Generator) -> float:
    """The p-value of the best against the runner-up of methods that are equally good."""
    hard, tokens = random.normal(NATS, SPREAD, count), np.full(count, float(TOKENS))
    shared = harm.drawn(random, hard)
    losses = [tokens * (hard + 0.15 * (shared + harm.drawn(random, hard)) / 2) for _ in range(methods)]
    first, second = sorted(losses, key=lambda one: float(one.sum()))[:2]
    return paired_difference(first, tokens, second, tokens).estimate.p


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def lines(repeats: int, random: np.random.Generator) -> Sequence[str]:
    """The table, a line for each setting."""
    found = ["windows  harm            " + "".join(f"{name:>12}" for name in ("nats", "perplexity", "bootstrap"))]
    for count in (*FEW, *WINDOWS):
        for name, harm in HARMS.items():
            shares = coverage_of_windows(count, harm, repeats, random)
            found.append(f"{count:7}  {name:16}" + "".join(f"{100 * share:11.1f}%" for share in shares.values()))
    found.append("passages " + "".join(f"{name:>13}" for name in ("by passage", "by item")))
    for passages in WINDOWS:
        shares = coverage_of_items(passages, repeats, random)
        found.append(f"{passages:8} " + "".join(f"{100 * share:12.1f}%" for share in shares.values()))
    found.append("passages  flips " + "".join(f"{name:>13}" for name in ("by passage", "by item", "Student")))
    for passages in WINDOWS:
        for flips in FLIPS:
            shares = coverage_of_flips(passages, flips, repeats, random)
            found.append(f"{passages:8}  {flips:4.0%}  " + "".join(f"{100 * share:12.1f}%" for share in shares.values()))
    found.append("methods  corpora  windows" + "".join(f"{name:>13}" for name in ("Holm", "uncorrected")))
    for methods, corpora, count in ((2, 12, 16), (2, 12, 64), (5, 12, 32)):
        shares = false_claims(methods, corpora, count, HARMS["heavy tails"], repeats // 2, random)
        found.append(f"{methods:7}  {corpora:7}  {count:7}" + "".join(f"{100 * share:12.1f}%" for share in shares.values()))
    return found


def main() -> None:
    """Print how often each interval covers and how often nothing is called something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.stdout.write("\n".join(lines(asked.repeats, np.random.default_rng(asked.seed))) + "\n")


if __name__ == "__main__":
    main()
