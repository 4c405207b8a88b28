"""The tables: each says which quantities it shows, in which columns and with how many digits."""

from __future__ import annotations

import math
from collections.abc import Callable

from drank.reporting.material import Material
from drank.reporting.names import BASELINE, DENSE, method_name, number
from drank.reporting.over_draws import any_drawn
from drank.reporting.tables.build import Quantity, build
from drank.reporting.tables.layout import Cell, Column, Table
from drank.reporting.tables.marks import explained
from drank.reporting.tables.numbers import Numbers, Value
from drank.runtime.grouping import AVERAGE

RATIO_NOTE = "The ratio is the share of parameters removed from the compressed projections."

OVER_DRAWS = "over draws of the calibration text their mean ± standard deviation"
"""What is printed of runs with several draws."""


def signed(value: float, digits: int = 2) -> str:
    """As `number`, with its sign also where it is positive, and none where it prints as zero."""
    text = number(abs(value), digits)
    return text if not text.strip("0.") else f"{'−' if value < 0 else '+'}{text}"


def interval(value: Value, digits: int = 2, scale: float = 1) -> str:
    """The 95 % interval of a difference in brackets, empty where there is none."""
    return "" if math.isnan(value.low) else f"[{signed(scale * value.low, digits)}, {signed(scale * value.high, digits)}]"


def scaled(scale: float, digits: int) -> Callable[[Value], Cell]:
    """A cell that shows a number in other units, its spread over draws and what the paper has in its place in small type."""
    return lambda value: Cell(
        number(scale * value.shown, digits), " ".join(filter(None, (_spread(value, scale, digits), _published(value, scale, digits))))
    )


def _spread(value: Value, scale: float, digits: int) -> str:
    """The standard deviation over draws of the calibration text, empty where there is one draw."""
    return "" if math.isnan(value.spread) else f"±{number(scale * value.spread, digits)}"


def _published(value: Value, scale: float, digits: int) -> str:
    """The paper's number in parentheses, empty where it has none."""
    return "" if math.isnan(value.published) else f"({number(scale * value.published, digits)})"


def difference(scale: float = 1, digits: int = 2) -> Callable[[Value], Cell]:
    """A cell that shows a signed difference with its interval, to three digits, in small type below."""

    def cell(value: Value) -> Cell:
        largest = max(abs(scale * value.low), abs(scale * value.high))
        return Cell(
            signed(scale * value.value, digits), interval(value, max(0, digits - (largest >= 10) - (largest >= 100)), scale), stacked=True
        )

    return cell


def _numbers(material: Material) -> Numbers:
    """The numbers of the one model that a material is about, the paper's beside them."""
    return Numbers(material.summary, material.models[0], material.published)


def quality(material: Material) -> Table:
    """Perplexity of one model on every corpus and accuracy on every task by ratio and method (the paper's table 3)."""
    numbers = _numbers(material)
    corpora, tasks = numbers.datasets("perplexity"), [task for task in numbers.datasets("accuracy") if task != AVERAGE]
    quantities = [Quantity(name, "perplexity", Column(name, "Perplexity", "low"), scaled(1, 2), "best") for name in corpora]
    quantities += [Quantity(name, "accuracy", Column(name, "Accuracy (%)", "high"), scaled(100, 1), "best") for name in tasks]
    quantities += [Quantity(AVERAGE, "accuracy", Column(AVERAGE, "Accuracy (%)", "high"), _accuracy_with_error, "best")]
    measured = " and ".join(["perplexity"] * bool(corpora) + ["zero-shot accuracy"] * bool(tasks)).capitalize()
    beside = material.published is not None and len(material.published) > 0
    averaged = AVERAGE in numbers.datasets("accuracy")
    notes = ["in parentheses the published numbers"] * beside
    drawn = any_drawn(material.numbers)
    notes += [f"± one standard error of the average{' of runs with one draw of the calibration text' * drawn}"] * averaged
    notes += [f"{OVER_DRAWS}, tested on the first"] * drawn
    caption = f"{measured} of {numbers.model}" + (f" by compression ratio. {RATIO_NOTE}" if numbers.ratios else ".")
    marks = explained([numbers], ["perplexity"] * bool(corpora) + ["accuracy"] * bool(tasks))
    caption += f" {marks}" * bool(marks) + (f" {'; '.join(notes).capitalize()}." if notes else "")
    caption += " The last block checks the pipeline and does not compete." if numbers.controls else ""
    return build(material.name, caption, numbers, quantities, chance=True)


def paired(material: Material) -> Table:
    """Differences of one model to dense and to SVD-LLM on the same windows and items, with 95 % intervals."""
    numbers = _numbers(material)
    quantities = []
    for reference, bold in ((DENSE, ""), (BASELINE, "better")):
        metric, label = f"perplexity_minus_{reference}", method_name(reference)
        for corpus in numbers.datasets(metric):
            column = Column(corpus, f"Difference to {label}", "low")
            quantities.append(Quantity(corpus, metric, column, difference(), bold))
        if AVERAGE in numbers.datasets(f"accuracy_minus_{reference}"):
            column = Column("average accuracy", f"Difference to {label}", "high")
            quantities.append(Quantity(AVERAGE, f"accuracy_minus_{reference}", column, difference(100, 1), bold))
    told = {quantity.metric.partition("_minus_")[::2] for quantity in quantities}
    rivals = [method_name(one) for one in (DENSE, BASELINE) if one in {reference for _, reference in told}]
    how = {"perplexity": "perplexity over the same windows", "accuracy": "average accuracy in points over the same items"}
    kinds = [text for kind, text in how.items() if kind in {kind for kind, _ in told}]
    caption = f"Paired differences of {numbers.model} to {' and to '.join(rivals)} at the same ratio, with 95\u202f% "
    caption += f"intervals: {', '.join(kinds)}. "
    caption += f"Bold: better than {method_name(BASELINE)} by an interval that excludes zero. " * (method_name(BASELINE) in rivals)
    caption += "Of several draws of the calibration text the first is compared. " * any_drawn(material.numbers)
    caption += RATIO_NOTE
    return build(material.name, caption, numbers, quantities, dense=False)


def answers(material: Material) -> Table:
    """For each task the accuracy of one model, beside it the answers that are others than the dense model's: accuracy lets them cancel."""
    numbers = _numbers(material)
    columns = {"accuracy": ("right", "high", "best"), "flips": ("flips", "low", ""), "answers_changed": ("other", "low", "")}
    tasks = numbers.datasets("accuracy")
    quantities = [
        Quantity(task, metric, Column(label, task, better), scaled(100, 1), bold)
        for task in tasks
        for metric, (label, better, bold) in columns.items()
    ]
    told = {
        "accuracy": "right ones",
        "flips": "flips, of which either this model or the dense one is right and not both",
        "answers_changed": "those other than the dense model's",
    }
    # Without the dense model there are no flips, and of tasks that have the model write there are no answers to choose from.
    *most, last = [words for metric, words in told.items() if numbers.datasets(metric)] or ["none"]
    caption = f"Answers of {numbers.model} in percent of the items: {'; '.join([*most, 'and ' * bool(most) + last])}. {RATIO_NOTE}"
    caption += f" {marks}" if (marks := explained([numbers], ["accuracy"] * bool(tasks))) else ""
    caption += f" {OVER_DRAWS.capitalize()}{', tested on the first' * bool(marks)}." if any_drawn(material.numbers) else ""
    return build(material.name, caption, numbers, quantities)


def _accuracy_with_error(value: Value) -> Cell:
    """Percent, with the standard error in small type."""
    error = _spread(value, 100, 1) or ("" if math.isnan(value.stderr) else f"±{100 * value.stderr:.1f}")
    return Cell(number(100 * value.shown, 1), " ".join(filter(None, (error, _published(value, 100, 1)))))
