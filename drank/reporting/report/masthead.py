"""What stands below the title: when and where a run was measured, by which code, and how long all of its steps took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from drank.reporting.names import unique
from drank.reporting.records import Record
from drank.reporting.report.conditions import commit
from drank.reporting.report.method_table import Chains, seconds_of
from drank.runtime.log import duration


def masthead(records: Sequence[Record], chains: Chains, timings: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Lines of a name and what is to be said of it: dates, machines, time, code; all that occur, where records differ.

    `chains` and `timings` say in which files the time of each step is to be found, `…/benchmarks/STEP/….tsv`.
    """
    sources = [record.provenance for record in records]
    dates = sorted(source["date"][:10] for source in sources)
    files = [file for methods in chains.values() for ratios in methods.values() for steps in ratios.values() for file in steps.values()]
    lines = [
        ("Measured", " to ".join(unique([dates[0], dates[-1]])) if dates else ""),
        ("Machine", " / ".join(unique(_machine(source) for source in sources))),
        ("Time", _time(unique([*files, *timings]))),
        ("Code", " / ".join(unique(f"drank {source['drank']}, {_tree(source['git'])}" for source in sources))),
    ]
    return [(name, text) for name, text in lines if text]


def _machine(source: dict[str, Any]) -> str:
    """`Test CPU, 2 cores, 16.0 GiB, no GPU; ran on cpu`."""
    machine = source["machine"]
    parts = [machine["cpu"], f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}", f"{machine['memory_bytes'] / 2**30:.1f} GiB"]
    return f"{', '.join([*parts, machine['gpu'] or 'no GPU'])}; ran on {source['device']}"


def _tree(git: dict[str, Any] | None) -> str:
    return commit(git) if git is None else f"commit {commit(git)}"


def _time(files: Sequence[str]) -> str:
    """`2 h 5 min in 84 steps, added up; the longest, compress docs-mha d-rank 0.2, took 12 min 3 s`; empty where no time is there."""
    found = {file: taken for file in files if (taken := seconds_of(file)) is not None}
    if not found:
        return ""
    longest, most = max(found.items(), key=lambda pair: pair[1])
    lacking = len(files) - len(found)
    total = f"{'at least ' if lacking else ''}{duration(sum(found.values()))} in {len(found)} step{'s' if len(found) > 1 else ''}, added up"
    left = f"; the time of {lacking} more is no longer there" if lacking else ""
    return f"{total}{left}; the longest, {_step(longest)}, took {duration(most)}"


def _step(file: str) -> str:
    """The words of a timing's path below its folder of `benchmarks`."""
    parts = PurePath(file).parts
    return " ".join(parts[parts.index("benchmarks") + 1 :] if "benchmarks" in parts else parts[-1:]).removesuffix(".tsv")
