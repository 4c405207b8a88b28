"""How it was measured: what the records say of code, machine, inputs and time, and what the stored models weigh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from drank.allocation.plan import Plan
from drank.evaluation.execution import TRANSFORMERS, VLLM
from drank.models.groups import Group
from drank.reporting.names import method_name, number, percent, role_name, unique
from drank.reporting.recipes import texts
from drank.reporting.records import Record
from drank.reporting.tables.numbers import SIZE, Entry, Numbers

ABSENT = "not installed"


class Fact(NamedTuple):
    """One line of provenance; `mixed` where the records do not agree."""

    name: str
    values: list[str]
    mixed: bool


def facts(records: Sequence[Record]) -> list[Fact]:
    """What the records were made with, one line for each fact, each with all values that occur."""
    sources = [source for record in records for source in _sources(record)]
    lines = [
        ("drank", [source["drank"] for source in sources]),
        ("git", [commit(source["git"]) for source in sources]),
        ("platform", [source["platform"] for source in sources]),
        ("processor", [f"{source['machine']['cpu']}, {source['machine']['cores']} cores" for source in sources]),
        ("memory", [f"{source['machine']['memory_bytes'] / 2**30:.1f} GiB" for source in sources]),
        ("GPU", [source["machine"]["gpu"] or "none" for source in sources]),
        ("device", [source["device"] for source in sources]),
    ]
    return [
        *_differing(records),
        *(Fact(name, unique(values), len(set(values)) > 1) for name, values in lines if values),
        *_packages(sources),
    ]


def _packages(sources: Sequence[dict[str, Any]]) -> Iterator[Fact]:
    """The versions of packages; what vLLM runs has those of its environment, which are no fault where they are others."""
    for name in unique(name for source in sources for name in source["packages"]):
        found: dict[str, list[str]] = {}
        for source in sources:
            found.setdefault(source["settings"].get("engine", TRANSFORMERS), []).append(source["packages"].get(name, ABSENT))
        mixed = any(len(set(versions)) > 1 for versions in found.values())
        if len(set(chain(*found.values()))) > 1 and len(found) > 1:
            by_vllm, own = (unique(versions) for versions in (found.pop(VLLM), chain(*found.values())))
            told = [*own, *(f"{version} (where {VLLM} runs it)" if version != ABSENT else ABSENT for version in by_vllm)]
            yield Fact(name, [version for version in told if version != ABSENT], mixed)
        else:
            yield Fact(name, unique(chain(*found.values())), mixed)


def _differing(records: Sequence[Record]) -> Iterator[Fact]:
    """In what records may differ and no fault be in it: their dates, what methods read, and the threads of measurements of other kinds."""
    if not records:
        return
    dates = sorted(source["date"] for record in records for source in _sources(record))
    yield Fact("measured", [" to ".join(unique([dates[0], dates[-1]]))], False)
    if read := unique(text for record in records if (text := texts(record.provenance))):
        yield Fact("texts", read, False)
    threads: dict[str, list[str]] = {}
    for record in records:
        threads.setdefault(record.kind, []).append(str(record.provenance["threads"]))
    told = [f"{' or '.join(unique(found))} ({kind})" for kind, found in threads.items()]
    yield Fact("threads", told, any(len(set(found)) > 1 for found in threads.values()))


def _sources(record: Record) -> Iterator[dict[str, Any]]:
    """What a record was made with, and each of its data sets, measured perhaps long before; by other commits too, of the same code."""
    yield record.provenance
    for told in record.provenance.get("measured", {}).values():
        yield record.provenance | {key: value for key, value in told.items() if key not in ("drank", "git")}


def commit(git: dict[str, Any] | None) -> str:
    """A commit in short, with a word where the tree had changes, or git was not there to tell."""
    changes = {True: " with uncommitted changes", False: "", None: " (git could not tell of changes)"}
    return "no git tree" if git is None else f"{git['commit'][:12]}{changes[git['dirty']]}"


def runs(records: Iterable[Record]) -> list[dict[str, str]]:
    """One row for each record: what it measured, how long that took, how much memory, from which inputs."""
    return [
        {
            "kind": record.kind,
            "model": record.model,
            "method": method_name(record.method),
            "ratio": percent(record.ratio),
            "seconds": f"{record.provenance['seconds']:.1f}",
            "memory": f"{record.provenance['peak_memory_bytes'] / 2**20:.0f}",
            "inputs": ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(record.provenance["inputs"].items())),
        }
        for record in records
    ]


def samples(models: Iterable[Numbers], records: Iterable[Record]) -> list[str]:
    """How much text and how many items the numbers rest on, with the hash of each text."""
    counts: dict[str, set[str]] = {}
    for record in records:
        unit = {"perplexity": "tokens", "zeroshot": "items"}.get(record.kind)
        for row in record.results if unit else ():
            if row.metric in ("perplexity", "accuracy") and row.count is not None and row.dataset in record.detail:
                digest = record.detail[row.dataset].get("text_sha256", "")
                amount = f"{row.count:,}".replace(",", "\u202f")
                counts.setdefault(row.dataset, set()).add(f"{amount} {unit}{f', text {digest[:12]}' if digest else ''}")
    shown = unique(name for numbers in models for metric in ("perplexity", "accuracy") for name in numbers.datasets(metric))
    return [f"{name}: {' or '.join(sorted(counts[name]))}" for name in shown if name in counts]


def sizes(
    models: Iterable[Numbers], plans: Iterable[Plan], anchor: Callable[[str, str, float], str] = lambda model, method, ratio: ""
) -> list[tuple[str, list[dict[str, str]]]]:
    """For each model a row for each of its versions: parameters, bytes, ratios, and of the plan at hand what is dense or past break-even.

    `anchor` gives the address on the page of the files of a model, method and ratio.
    """
    by_place = {(plan.model, plan.method, plan.ratio): plan for plan in plans}
    return [
        (
            numbers.model,
            [
                _size(numbers, entry, by_place.get((numbers.model, *entry))) | {"address": anchor(numbers.model, *entry)}
                for entry in numbers.entries
            ],
        )
        for numbers in models
    ]


def _size(numbers: Numbers, entry: Entry, plan: Plan | None) -> dict[str, str]:
    """One row of the sizes."""
    found = {name: numbers.get(entry, SIZE, name) for name in ("parameters", "bytes", "ratio_stored", "ratio_model")}
    known = {name: value.value for name, value in found.items() if value is not None}
    return {
        "method": method_name(entry.method),
        "asked": percent(entry.ratio),
        "stored": f"{number(100 * known['ratio_stored'])}\u202f%" if "ratio_stored" in known else "–",
        "whole": f"{number(100 * known['ratio_model'])}\u202f%",
        "parameters": number(known["parameters"] / 1e6),
        "megabytes": number(known["bytes"] / 1e6),
        "dense": _stored_dense(plan),
        "past": _past_break_even(plan),
    }


def _stored_dense(plan: Plan | None) -> str:
    """How many matrices of a plan are stored as they are, and of which projections; empty without a plan."""
    if plan is None:
        return ""
    whole = [group for group in plan.groups if group.dense]
    return _counted(sum(len(group.shape.layers) for group in whole), sum(len(group.shape.layers) for group in plan.groups), whole)


def _past_break_even(plan: Plan | None) -> str:
    """How many groups of a plan hold as much in factors as in the matrices, or more, and of which projections; empty without a plan."""
    if plan is None:
        return ""
    past = [group for group in plan.groups if group.past_break_even and not group.dense]
    return _counted(len(past), len(plan.groups), past)


def _counted(some: int, of: int, groups: Sequence[Group]) -> str:
    """So many of so many, with the projections that these groups are of."""
    roles = ", ".join(unique(role_name(group.shape.kind) for group in groups))
    return f"{some} of {of}" + (f" ({roles})" if groups else "")
