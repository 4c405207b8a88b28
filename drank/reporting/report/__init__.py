"""The report: one HTML page that opens anywhere, tells who won and by how much, and shows what that rests on."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from drank.allocation.plan import Plan
from drank.reporting.names import BASELINE, method_name, percent
from drank.reporting.records import Record
from drank.reporting.report.accuracy import accuracy_lines
from drank.reporting.report.beginnings import beginnings
from drank.reporting.report.checks import checks
from drank.reporting.report.conditions import facts, runs, samples, sizes
from drank.reporting.report.continuations import continuations
from drank.reporting.report.doubts import doubts
from drank.reporting.report.links import Links
from drank.reporting.report.masthead import masthead
from drank.reporting.report.method_table import Chains, methods
from drank.reporting.report.price import price
from drank.reporting.report.random_draw import against_random_ranks
from drank.reporting.report.random_weights import random_weights
from drank.reporting.report.seen import overfitting
from drank.reporting.report.use import uses
from drank.reporting.report.verdict import Contest, contests, headline
from drank.reporting.tables import Table
from drank.reporting.tables.numbers import Numbers, per_model
from drank.variants import is_variant

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render", "verdict"]

MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}
"""The kinds of pictures a page can hold."""


def render(
    summary: pd.DataFrame,
    tables: Sequence[Table],
    figures: Mapping[str | Path, str],
    plans: Sequence[Plan],
    records: Sequence[Record],
    settings: Mapping[str, Any],
    chains: Chains | None = None,
    title: str | None = None,
    links: Links | None = None,
    timings: Sequence[str] = (),
    findings: Sequence[str] = (),
) -> str:
    """The page as HTML text, with everything it shows inside it.

    `figures` maps PNG or SVG files to their captions, `settings` is the configuration of the run, `chains` says where the time that each
    step took is to be found, and so do `timings` of steps that belong to no such chain. `links` are the files of the run that the page
    leads to, `findings` what its artefacts say in words. Raises ValueError for pictures of another kind, and for a summary without rows.
    """
    if summary.empty:
        raise ValueError("the summary has no rows; measure something before reporting on it")
    models, competing, links = list(per_model(summary)), _competing(summary), links or Links()
    decided = contests(competing)
    return _template().render(
        title=title or f"Low-rank compression of {' and '.join(numbers.model for numbers in models)}",
        baseline=method_name(BASELINE),
        percent=percent,
        headline=_answer(records, competing, decided, chains or {}, findings),
        sections=[_section(numbers, decided, tables) for numbers in competing],
        spanning=[table for table in tables if table.model not in {numbers.model for numbers in competing}],
        shown=lambda table, number: table.to_html(number, links.csv(table), links.cells(table, records)),
        links=links,
        next_table=count(1).__next__,
        masthead=masthead(records, chains or {}, timings, models, settings.get("models")),
        doubts=doubts(records, models),
        uses=uses(competing, records, links, settings),
        origins=links.origins(records),
        kept=settings.get("keep", "all"),
        pictures=[(_data_uri(Path(path)), caption) for path, caption in figures.items()],
        checks=checks(models, records),
        continuations=continuations(competing, records),
        sizes=sizes(models, plans, links.anchor),
        facts=facts(records),
        methods=methods(records, chains or {}, links.anchor),
        samples=[*samples(models, records), *beginnings(records), *overfitting(records)],
        runs=runs(records),
        settings=json.dumps(settings, indent=2, ensure_ascii=False, default=str),
    )


def _template() -> Template:
    """The page without its contents; what is missing of these is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _answer(
    records: Sequence[Record], competing: Sequence[Numbers], decided: Sequence[Contest], chains: Chains, findings: Sequence[str]
) -> list[str]:
    """Whose weights are random, who won, by how much and by what, what that costs, and how it stands against random ranks."""
    won = [*headline(competing, decided), *findings, *price(competing, decided, chains), *against_random_ranks(competing)]
    return [*random_weights(records), *won]


def verdict(summary: pd.DataFrame, records: Sequence[Record], chains: Chains | None = None, findings: Sequence[str] = ()) -> list[str]:
    """The answer as lines for a terminal: who won, by how much, at what cost, how much there is to doubt, and every check that failed.

    `chains` and `findings` are as in `render`.
    """
    models = list(per_model(summary))
    failed = [f"check failed: {check.name} ({check.model}): {check.text}" for check in checks(models, records) if not check.passed]
    competing = _competing(summary)
    decided = contests(competing)
    kept = [] if decided else [f"{numbers.model}, {line}" for numbers in competing for line in accuracy_lines(numbers)]
    reasons = len(doubts(records, models))
    doubted = [f"to doubt: {reasons} reason{'s' if reasons > 1 else ''}, in the report under “What to doubt”"] if reasons else []
    return [*_answer(records, competing, decided, chains or {}, findings), *kept, *doubted, *failed]


def _competing(summary: pd.DataFrame) -> list[Numbers]:
    """The numbers of the methods that a configuration names, by model: variants of them, which an artefact compares, are in no contest."""
    return list(per_model(summary[~summary["method"].map(is_variant).astype(bool)]))


def _section(numbers: Numbers, decided: Sequence[Contest], tables: Sequence[Table]) -> dict[str, Any]:
    """What the page shows of one model."""
    return {
        "model": numbers.model,
        "drawn": numbers.drawn,
        "contests": [contest for contest in decided if contest.model == numbers.model],
        "accuracy": accuracy_lines(numbers),
        "tables": [table for table in tables if table.model == numbers.model],
    }


def _data_uri(path: Path) -> str:
    """A picture as a `data:` address."""
    if path.suffix not in MEDIA:
        raise ValueError(f"{path}: a report shows {' and '.join(MEDIA)} pictures, not {path.suffix or 'files without a suffix'}")
    return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
