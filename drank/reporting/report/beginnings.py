"""How windows and prompts began, in sentences: where that is other than published, and where a model was not read as its family needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from drank.corpora.beginnings import NONE, TEXT, WINDOW, convention_in
from drank.reporting.names import unique
from drank.reporting.records import Record

READ = {"perplexity": "perplexity", "zeroshot": "zero-shot accuracy", "throughput": "the prompts of throughput"}
"""What is read, by the kind of a record."""

SAID = {
    WINDOW: "a BOS stands before every window and prompt, where it is read and not predicted",
    NONE: "no BOS stands anywhere, not at the start of a text or prompt either",
}

UNSEEN = {
    NONE: "never see one here, so that these numbers are of a model out of its element",
    TEXT: "see one at the start of the text alone, so that most of these numbers are of a model out of its element",
}


BEGUN = {(READ["throughput"], TEXT), (READ["throughput"], NONE), (READ["zeroshot"], TEXT)}
"""What the warning does not hold for: how fast a model is, and prompts, each of which is a text of its own."""


def beginnings(records: Sequence[Record]) -> list[str]:
    """A sentence for each convention other than `text`, with what was read by it and the models; none where all were read by that."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for what, said in _read(record):
            found.setdefault((record.model, said), []).append(what)
    return [f"{model}: {SAID[said]} ({', '.join(unique(read))})." for (model, said), read in found.items() if said in SAID]


def unseen(records: Sequence[Record]) -> list[str]:
    """A warning for each model that was read otherwise than its family needs."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for what, said in _read(record):
            if record.provenance.get("needs_bos") and said in UNSEEN and (what, said) not in BEGUN:
                found.setdefault((record.model, said), []).append(what)
    return [
        f"Models of the family of {model} need a BOS before every window and {UNSEEN[said]} (bos: {said}; {', '.join(unique(read))})."
        for (model, said), read in found.items()
    ]


def _read(record: Record) -> Iterator[tuple[str, str]]:
    """What was read for a record and by which convention: what it measures, and the texts of the method."""
    yield READ[record.kind], record.bos
    made: dict[str, Any] = record.provenance["calibration"] or {}
    if "corpus" in made:
        yield "calibration", convention_in(made)
    if searched := made.get("search"):
        yield "search", convention_in(searched)
    if tuned := ((record.provenance["making"] or {}).get("texts") or {}).get("finetune"):
        yield "fine-tuning", convention_in(tuned)
