"""What a configuration can measure, by the names that artefacts call it, and the names of an artefact's entry that nothing has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from drank.config.grids import PLACES, listed
from drank.corpora.embedded import SPLITS
from drank.evaluation.execution import labelled
from drank.evaluation.timing import PHASES
from drank.reporting.layouts import LAYOUTS, METRICS, TO_DENSE
from drank.runtime.suggestions import near
from drank.variants import base_of

_RULES = """
all allocate calibrate calibrate_part cards checkpoint compress compress_shape corpus document evaluate evaluate_part evaluate_tasks
evaluate_texts evaluations gradients gradients_part manuscript overfitting overlap prefetch reference relinearise report round selection
sensitivity slopes source spectrum summary task testbed throughput tokenize train
"""

KINDS_OF_PROJECTION = ("q", "k", "v", "o", "gate", "up", "down", "qkv", "gate_up")

TAKEN = frozenset(_RULES.split())
"""What a run calls its other rules: an artefact is built by its name, so that it needs one of its own."""


def measurable(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a configuration can measure, by kind: the texts (`corpus`, or `corpus.split` of another split) and the tasks it names."""
    return {
        "perplexity": list(config["perplexity"]["corpora"]),
        "zeroshot": list(config["zeroshot"]["tasks"]),
        "throughput": [labelled(phase, variant) for variant in _variants(config) for phase in PHASES],
    }


def _variants(config: Mapping[str, Any]) -> list[str]:
    """The variants that models are timed in, none where none is timed."""
    return list(config["throughput"]["variants"]) if "throughput" in config else []


def splits_in(source: Mapping[str, Any]) -> list[str]:
    """The splits of a corpus by its entry."""
    if "embedded" in source:
        return list(SPLITS[source["embedded"]])
    return list(source["files"] if "files" in source else source["splits"])


def split_of(config: Mapping[str, Any], text: str) -> tuple[str, str]:
    """Corpus and split of a text as an artefact names it: `corpus`, or `corpus.split` for another split than that of `perplexity`."""
    if text in config["corpora"]:
        return text, config["perplexity"]["split"]
    corpus, _, split = text.rpartition(".")
    return corpus, split


def kinds_of(config: Mapping[str, Any], name: str) -> list[str]:
    """What is measured on a text, task or phase of this name: nothing where there is none, and more where a task is called as a text."""
    found = [kind for kind, names in measurable(config).items() if name in names]
    corpus, split = split_of(config, name)
    return found or (["perplexity"] if corpus in config["corpora"] and split else [])


def faults_of(config: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """A line for every name in an entry that nothing has."""
    if name in TAKEN:
        yield "the name is taken by a step of the run; call it otherwise"
    layout = LAYOUTS.get(entry["layout"])
    if layout is None:
        yield from _unknown("layout", [entry["layout"]], LAYOUTS, "none of the layouts")
        return
    for key in entry.keys() - {"layout", "runs", "on", "caption", *layout.options}:
        yield f"layout {entry['layout']} does not read {key}; leave it out (it knows {', '.join(layout.options) or 'no options'})"
    yield from (f"layout {entry['layout']} needs {key}" for key in layout.needs if key not in entry)
    grids = listed(entry.get("runs", {}))
    for grid in grids:
        for place, section in (("model", "models"), ("method", "methods"), ("corpus", "corpora")):
            yield from _unknown(f"runs.{place}", grid.get(place, []), config[section], f"not one of {section}")
    yield from _unmeasured(config, entry)
    if entry.get("metric") in TO_DENSE and not config["perplexity"]["to_dense"]:
        yield f"metric: {entry['metric']} is measured beside the dense model, and perplexity.to_dense is false; set it to true"
    if entry.get("metric") == "repeated_4grams" and not config["perplexity"]["continuations"]["prompts"]:
        yield "metric: repeated_4grams is of continuations, and perplexity.continuations.prompts is 0; set it to 1 or more, such as 8"
    stands = dict.fromkeys(("model", "method", "label", "ratio", "dataset", *(axis for grid in grids for axis in grid)))
    for key in ("rows", "columns", "over", "axis"):
        yield from _unknown(key, entry.get(key, []), stands, "nothing that its runs stand on")
    if layout.along and "axis" in entry:
        yield from _no_numbers(entry["axis"], grids)
    yield from _unknown("metric", entry.get("metric", []), METRICS, "no metric")
    yield from _unknown("kinds", entry.get("kinds", []), KINDS_OF_PROJECTION, "no kind of projection")
    yield from _unknown("chain", map(base_of, entry.get("chain", {})), config["methods"], "not one of methods")
    if missing := [axis for axis in layout.stands_on if axis not in stands]:
        yield f"layout {entry['layout']} compares runs by {', '.join(missing)}, which no grid of `runs` names"


def _unknown(place: str, names: Any, known: Collection[str], what: str) -> Iterator[str]:
    """A line for every name, of one or several, that is none of those known."""
    for name in [names] if isinstance(names, str) else names:
        if name not in known:
            yield f"{place}: {name!r} is {what}{near(name, known)}: {', '.join(known)}"


def _no_numbers(axis: str, grids: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line where no figure can be drawn along an axis."""
    values = [value for grid in grids if axis not in PLACES for value in listed(grid.get(axis, []))]
    if odd := [value for value in values if isinstance(value, str | bool)]:
        yield f"axis: {axis} has values that are no numbers, {', '.join(map(str, odd))}; draw along another, or show this one as a pivot"
    elif not values:
        yield f"axis: no grid of `runs` has values for {axis}; give it some, or draw `perplexity_by_ratio` for the ratio"


def _unmeasured(config: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    """A line for every text, task or phase in an entry that is not measured, and for splits that a corpus does not have."""
    texts = [*config["corpora"], *config["zeroshot"]["tasks"], *measurable(config)["throughput"]]
    for key in ("on", "validation"):
        for name in listed(entry.get(key, [])):
            kinds, (corpus, split) = kinds_of(config, name), split_of(config, name)
            if not kinds:
                yield f"{key}: {name!r} is no text, task or phase that is measured{near(name, texts)}: {', '.join(texts)}, or CORPUS.SPLIT"
            elif kinds == ["perplexity"] and split not in (there := splits_in(config["corpora"][corpus])):
                yield f"{key}: corpus {corpus!r} has no split {split!r}, only {', '.join(there)}"
