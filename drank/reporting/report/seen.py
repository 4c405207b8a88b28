"""What models may owe to the text that they were made on, in sentences: overlap, too little text, and overfitting as measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drank.corpora.amount import LEAST
from drank.corpora.overlap import LIMIT, RUN, TOLD
from drank.reporting.names import competes, method_name, number, percent, unique
from drank.reporting.records import Record, Result
from drank.reporting.tables.quantities import signed
from drank.variants import is_variant


def seen(records: Sequence[Record]) -> list[str]:
    """What weakens the numbers: texts that models were made on as good as whole, and calibrations with little text for the width."""
    shared = [
        f"{said}: as good as one text, so that numbers on it are those of models that have seen it."
        for said, share in _overlaps(records)
        if share > LIMIT
    ]
    return [*shared, *_little(records)]


def overfitting(records: Sequence[Record]) -> list[str]:
    """What is to be known beside: smaller overlaps, and overfitting that was looked for and not found, or not looked for."""
    told = [f"{said}." for said, share in _overlaps(records) if TOLD < share <= LIMIT]
    return [*told, *_measured(records, clear=False), *_unmeasured(records)]


def fitted(records: Sequence[Record]) -> list[str]:
    """How much more the loss rises on text that was not read than on text that was, where that is more than chance."""
    return list(_measured(records, clear=True))


def _overlaps(records: Sequence[Record]) -> Iterator[tuple[str, float]]:
    """Each overlap in words, and as a share, largest first."""
    found: dict[tuple[str, str, str], float] = {}
    for record in records:
        for text, shares in record.provenance.get("overlap", {}).items():
            found |= {(record.model, text, read): share for read, share in shares.items()}
    for (model, text, read), share in sorted(found.items(), key=lambda item: -item[1]):
        yield f"{model}: {100 * share:.1f}\u202f% of the runs of {RUN} tokens of {text} stand word for word in {read}", share


def _little(records: Sequence[Record]) -> Iterator[str]:
    """A sentence for each model of which methods were calibrated on little text."""
    found: dict[str, dict[float, list[str]]] = {}
    for record in (record for record in records if competes(record.method) and not is_variant(record.method)):
        if (each := record.provenance.get("tokens_per_channel", LEAST)) < LEAST:
            found.setdefault(record.model, {}).setdefault(each, []).append(method_name(record.method))
    for model, amounts in found.items():
        listed = "; ".join(f"{number(each, 1)} for {', '.join(unique(methods))}" for each, methods in sorted(amounts.items()))
        yield (
            f"{model}: little text to calibrate on, fewer than {LEAST} tokens a channel of the widest input ({listed}); what is made "
            "on so little may fit that text rather than the language."
        )


def _measured(records: Sequence[Record], *, clear: bool) -> Iterator[str]:
    """A sentence for each model, ratio and split: of which method the loss rises most beyond what it rises on the text that it read.

    Those where this is `clear` of zero, of the methods of which it is; or those where it is of none.
    """
    found: dict[tuple[str, float, str], list[tuple[Record, Result]]] = {}
    for record in records:
        for row in record.results:
            if row.metric == "overfitting" and record.ratio and competes(record.method) and not is_variant(record.method):
                found.setdefault((record.model, record.ratio, row.dataset), []).append((record, row))
    for (model, ratio, dataset), rows in found.items():
        beyond = [pair for pair in rows if pair[1].ci_low is not None and pair[1].ci_low > 0]
        if bool(beyond) != clear:
            continue
        record, most = max(beyond or rows, key=lambda pair: pair[1].value)
        rises = {row.metric: row.value for row in record.results if row.dataset == dataset}
        between = "" if most.ci_low is None or most.ci_high is None else f" [{signed(most.ci_low, 3)}, {signed(most.ci_high, 3)}]"
        of = f", the most of {len(beyond or rows)} methods" if len(beyond or rows) > 1 else ""
        yield (
            f"Overfitting to {dataset} at {percent(ratio)}{of}: {method_name(record.method)} on {model} loses to the dense model "
            f"{number(rises['rise_on_read'], 3)} nats per token on windows that it was calibrated on and "
            f"{number(rises['rise_on_unread'], 3)} on others of that text ({signed(most.value, 3)}{between})."
        )


def _unmeasured(records: Sequence[Record]) -> Iterator[str]:
    """A sentence for each text of which no window is left that was not read."""
    told = [(record.model, record.provenance["overfitting"]["reason"]) for record in records if _reason(record)]
    yield from (f"{model}: overfitting is not measured: {reason}." for model, reason in dict.fromkeys(told))


def _reason(record: Record) -> bool:
    return "reason" in record.provenance.get("overfitting", {})
