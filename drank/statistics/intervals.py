"""A mean over windows or items, how sure it is, and what it could have told apart (Cochran, "Sampling Techniques", 1977, ch. 6).

The unit is a window, or a passage with all items asked of it: tokens inside one, and items on one, are far from independent. A mean is a
ratio, Σ sums / Σ weights, for units differ in size; its interval is Student's, on the residuals of the units. A short window counts by its
size: a long one and a stub tell little more than the long one alone (Bell and McCaffrey, "Bias reduction in standard errors for linear
regression with multi-stage samples", 2002). The percentile bootstrap, which drank used before, covers 90 to 93 % where it says 95 at 16 to
32 windows (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
"""Coverage of every interval in drank."""

POWER = 0.8
"""How often a difference of the size that counts as detectable is found."""

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A point estimate and the ends of its 95 % interval, NaN where one unit alone cannot tell how units differ."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    @property
    def ends(self) -> dict[str, float]:
        """Its ends under the names that a row of a record has for them; none where one unit alone cannot tell them."""
        return {} if math.isnan(self.low) else {"ci_low": self.low, "ci_high": self.high}


class Estimate(NamedTuple):
    """A number with its standard error and the degrees of freedom of the latter; both NaN where one unit alone stands behind it."""

    value: float
    stderr: float
    freedom: float

    @property
    def interval(self) -> Interval:
        """Its 95 % interval by Student's distribution; of units that all agree the point, if they are enough for one to be believed."""
        if self.stderr == 0:
            half = 0.0 if self._agreeing <= 1 - LEVEL else math.nan
        else:
            half = self._quantile((1 + LEVEL) / 2) * self.stderr
        return Interval(self.value, self.value - half, self.value + half)

    @property
    def p(self) -> float:
        """How often chance alone, were it zero in truth, would take it at least as far from zero on either side; NaN without an error.

        Of units that all agree it is the sign test's: that all fall on one side.
        """
        from scipy.special import stdtr

        if self.stderr > 0:
            return float(2 * stdtr(self.freedom, -abs(self.value) / self.stderr))
        return math.nan if math.isnan(self.stderr) else 1.0 if self.value == 0 else self._agreeing

    @property
    def _agreeing(self) -> float:
        """How often so many units fall on one side by chance."""
        return 0.5**self.freedom

    @property
    def detectable(self) -> float:
        """The difference from zero that this test finds at 5 % in four cases of five; NaN where no unit differed from another."""
        return (self._quantile((1 + LEVEL) / 2) + self._quantile(POWER)) * self.stderr if self.stderr > 0 else math.nan

    def _quantile(self, share: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, share))


def mean_of(sums: ArrayLike, weights: ArrayLike) -> Estimate:
    """Σ sums / Σ weights over units that were drawn independently; `weights` are their tokens or items. ValueError as `windows_of`."""
    found, sizes = windows_of(sums, weights)
    mean = float(found.sum() / sizes.sum())
    return estimate_of(mean, found - mean * sizes, sizes)


def clustered_mean(values: ArrayLike, passages: Sequence[int] | None = None) -> Estimate:
    """The mean of items, those that share a passage as one unit; without `passages` each item is one. ValueError where lengths differ."""
    found = np.asarray(values, np.float64)
    units = np.arange(len(found)) if passages is None else np.unique(np.asarray(passages), return_inverse=True)[1]
    if len(units) != len(found):
        raise ValueError(f"every item has a passage, but there are {len(found)} items and {len(units)} passages; evaluate the task again")
    return mean_of(np.bincount(units, weights=found), np.bincount(units))


def estimate_of(value: float, residuals: Floats, weights: Floats, size: float = 0.0) -> Estimate:
    """A value whose error is Σ residuals / Σ weights to first order, one residual a unit; a difference, of numbers of this `size`.

    The squared error is right on average whatever the sizes, where units differ alike in their means: Σ r²/(1 − 2h + Σh²) with h the share
    of a unit, which is Σ r² w/(w − 1) of w units of one size. The degrees of freedom are those of a χ² with its variance.
    """
    if len(residuals) < 2:
        return Estimate(value, math.nan, math.nan)
    share = weights / weights.sum()
    stderr = math.sqrt(float(residuals**2 @ (1 / _seen(share)))) / float(weights.sum())
    # what rounding leaves of units that agree is no error
    return Estimate(value, stderr if stderr > 1e-12 * max(abs(value), size) else 0.0, freedom_of(share))


def _seen(share: Floats) -> Floats:
    """How much of the variance of each unit its residual has, for the mean moves with it; `share` sums to 1."""
    return (1 - share) ** 2 + (share @ share - share**2)


def freedom_of(share: Floats) -> float:
    """Degrees of freedom of a mean over two units or more that have these shares of it: their number less one where all are alike.

    With residuals r = diag(share)(1 − 1 shareᵀ) e of independent normal e of one variance, the squared error is a form eᵀ M e, and what
    comes back is its 2 E²/Var = (tr M)²/tr M² (Satterthwaite). Units of one size are taken together, for there may be very many.
    """
    sizes, counts = np.unique(share, return_counts=True)
    alike = float(share @ share)
    part = sizes**2 / ((1 - sizes) ** 2 + (alike - sizes**2))
    pairs = np.outer(counts, counts) - np.diag(counts)
    apart = np.outer(part, part) * (alike - sizes[:, None] - sizes) ** 2
    return alike**2 / float((share**4).sum() + (pairs * apart).sum())


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of independent estimates."""
    return weighted(estimates, [1 / len(estimates)] * len(estimates))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """By how much one lies above another that is independent of it: of two means Welch's."""
    return weighted((one, other), (1, -1))


def weighted(estimates: Sequence[Estimate], factors: Sequence[float]) -> Estimate:
    """The sum of independent estimates, each times its factor; the degrees of freedom by Welch and Satterthwaite."""
    value = sum(factor * one.value for one, factor in zip(estimates, factors, strict=True))
    squares = [(factor * one.stderr) ** 2 for one, factor in zip(estimates, factors, strict=True)]
    total = sum(squares)
    if not total > 0:
        return Estimate(value, math.sqrt(total), min(one.freedom for one in estimates))
    return Estimate(
        value, math.sqrt(total), total**2 / sum(square**2 / one.freedom for square, one in zip(squares, estimates, strict=True))
    )


def perplexity_interval(loss: ArrayLike, tokens: ArrayLike) -> Interval:
    """exp(Σ loss / Σ tokens) with its interval over windows.

    `loss` holds the summed negative log-likelihood of each window in nats, `tokens` its number of predicted tokens.
    """
    value, low, high = mean_of(loss, tokens).interval
    return Interval(perplexity_of(value), float(np.exp(low)), float(np.exp(min(high, LARGEST))))


def mean_interval(sums: ArrayLike, tokens: ArrayLike, within: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Σ sums / Σ tokens, a mean per token of what windows sum up, with its interval over windows, cut at what the mean can be."""
    value, low, high = mean_of(sums, tokens).interval
    # a comparison with NaN is false, so that it stays what it is
    return Interval(value, within[0] if low < within[0] <= value else low, within[1] if high > within[1] >= value else high)


def windows_of(loss: ArrayLike, tokens: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 vectors of one length; ValueError where they are no losses of windows."""
    losses, weights = np.asarray(loss, np.float64), np.asarray(tokens, np.float64)
    if losses.ndim != 1 or losses.shape != weights.shape or losses.size == 0:
        raise ValueError(f"one loss and one token count per window are needed, got shapes {losses.shape} and {weights.shape}")
    bad: Sequence[int] = np.flatnonzero(~np.isfinite(losses) | ~(weights > 0)).tolist()
    if bad:
        raise ValueError(f"windows {bad[:10]} of {len(losses)} have a non-finite loss or no tokens; no interval can be drawn over them")
    return losses, weights


LARGEST = math.log(np.finfo(np.float64).max)
"""The mean loss above which a perplexity is no number."""


def perplexity_of(mean: float) -> float:
    """The perplexity of a mean loss; ValueError where it exceeds what a float can hold."""
    if mean > LARGEST:
        raise ValueError(f"a mean loss of {mean:.1f} nats per token has no finite perplexity; the model is broken, not merely bad")
    return float(np.exp(mean))
