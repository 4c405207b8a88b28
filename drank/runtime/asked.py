"""What the jobs of a run ask a cluster for, as columns of the table of jobs that Snakemake shows before it runs, or instead of running."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

COLUMNS = ("threads", "memory", "GPUs", "minutes")
"""The columns beside name and count of a rule's jobs."""

Asked = Mapping[str, Mapping[str, int]]
"""By rule, the most that one of its jobs asks for: `threads`, `mem_mb`, `gpu`, `runtime`; without the rules whose jobs run here."""


def most(jobs: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, int]]:
    """What each rule asks for, out of the rule and the resources of every job."""
    found: dict[str, dict[str, int]] = {}
    for rule, resources in jobs:
        asked = found.setdefault(rule, {})
        for name in ("threads", "mem_mb", "gpu", "runtime"):
            asked[name] = max(asked.get(name, 0), int(resources.get(name) or 0))
    return found


def table(counts: Mapping[str, int], asked: Asked) -> str:
    """The table of a run's jobs, by rule, with what they ask for; `counts` ends with their total."""
    rows = [("job", "count", *COLUMNS), *((rule, str(count), *_cells(rule, asked)) for rule, count in counts.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(["Job stats:", *lines, ""])


def _cells(rule: str, asked: Asked) -> tuple[str, ...]:
    if rule not in asked:
        return ("",) * len(COLUMNS)
    wanted = asked[rule]
    return str(wanted["threads"]), f"{wanted['mem_mb'] / 1000:g} GB", str(wanted["gpu"] or ""), str(wanted["runtime"])


class ShowAsked(logging.Filter):
    """Puts the table of this module in the place of Snakemake's own; `asked` tells, once the run knows its jobs, what they ask for."""

    def __init__(self, asked: Callable[[], Asked]) -> None:
        super().__init__()
        self._asked = asked

    def filter(self, record: Any) -> bool:
        """True: nothing is held back."""
        if str(getattr(record, "event", "") or "") == "run_info":
            record.msg = table(record.stats, self._asked())
        return True
