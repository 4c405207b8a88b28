"""What stands below the title: which models were measured, when and where, by which code, and how long all steps took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from drank.reporting.names import number, unique
from drank.reporting.records import Record
from drank.reporting.report.conditions import commit
from drank.reporting.report.method_table import Chains, seconds_of
from drank.reporting.tables.numbers import SIZE, Numbers
from drank.runtime.log import duration

FROM = {
    "embedded": "a small model that drank ships, to try things on",
    "hub": "{} of the hub",
    "package": "of the Python package {}",
    "path": "{}",
    "gguf": "{}",
    "shape": "a shape alone, with random weights",
}
"""By the key that says where a model is from: how that is told of its value."""


def masthead(
    records: Sequence[Record],
    chains: Chains,
    timings: Sequence[str] = (),
    models: Sequence[Numbers] = (),
    sources: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[tuple[str, str]]:
    """Lines of a name and what is to be said of it: models, dates, machines, time, code; all that occur, where records differ.

    `chains` and `timings` say in which files the time of each step is to be found, `…/benchmarks/STEP/….tsv`; `sources` are where the
    configuration has the `models` from.
    """
    named = [told for numbers in models if (told := ", ".join(_model(numbers, (sources or {}).get(numbers.model, {}))))]
    origins = [record.provenance for record in records]
    dates = sorted(origin["date"][:10] for origin in origins)
    files = [file for methods in chains.values() for ratios in methods.values() for steps in ratios.values() for file in steps.values()]
    lines = [
        ("Models" if len(named) > 1 else "Model", "; ".join(named)),
        ("Measured", " to ".join(unique([dates[0], dates[-1]])) if dates else ""),
        ("Machine", " / ".join(unique(_machine(origin) for origin in origins))),
        ("Time", _time(unique([*files, *timings]))),
        ("Code", " / ".join(unique(f"drank {origin['drank']}, {_tree(origin['git'])}" for origin in origins))),
    ]
    return [(name, text) for name, text in lines if text]


def _model(numbers: Numbers, source: Mapping[str, Any]) -> Iterator[str]:
    """The name of a model, where it is from and how large it is, as far as that is known; nothing but its name is not worth a line."""
    origin = next((text.format(source[key]) for key, text in FROM.items() if key in source), None)
    size = None if numbers.dense is None else numbers.get(numbers.dense, SIZE, "parameters")
    if origin or size:
        yield numbers.model
        yield from [origin] if origin else []
        yield from [f"{number(size.value / 1e6, 1)} million parameters"] if size else []


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
