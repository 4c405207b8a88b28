"""Measuring piece by piece: what is there already is not measured again, and shares of a piece are put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from drank.evaluation.continuations import Continuations
from drank.evaluation.losses import WindowLosses
from drank.evaluation.measured_model import MeasuredModel, Taken
from drank.evaluation.pieces import Piece, Pieces
from drank.evaluation.wanted import Wanted
from drank.evaluation.zeroshot.marks import joined
from drank.runtime.log import BRIEF
from drank.runtime.shares import WHOLE, Share, check_complete

log = logging.getLogger(__name__)

JOINED: dict[str, Callable[[Sequence[Any]], dict[str, Any]]] = {
    "perplexity": lambda parts: asdict(WindowLosses.joined(WindowLosses(**part) for part in parts)),
    "continuations": lambda parts: asdict(Continuations.joined(Continuations(**part) for part in parts)),
    "zeroshot": joined,
}
"""By kind how what was found on shares becomes what is found on the whole."""


def measured(
    wanted: Sequence[Wanted], computing: Mapping[str, Any], kept: Pieces, load: Callable[[], MeasuredModel], share: Share = WHOLE
) -> list[Piece]:
    """The pieces that are wanted, in order: whole where they are kept, else their share, which is measured where it is not kept either.

    `computing` is how this machine computes: device, precision, threads. The model is loaded when the first piece has to be measured, and
    that piece is told to have taken the loading too. Each piece is kept as soon as it is measured.
    """
    loaded, found, before = cache(load), [], 0
    for one in wanted:
        key = one.under(computing)
        piece = (kept.find(key) or kept.find(key, share)) if one.certain else None
        if piece is None:
            subject = loaded()
            piece = Piece(key, share, one.measure(subject.model, share), asdict(subject.taken()))
            if one.certain:
                kept.keep(piece)
            log.info("%s of %s: measured", one.kind, one.dataset, extra=BRIEF)
        else:
            before += 1
            log.info("%s of %s: kept, measured %s", one.kind, one.dataset, piece.took["origin"]["date"], extra=BRIEF)
        found.append(piece)
    if before:
        log.info("%d of %d texts and tasks had been measured before", before, len(found))
    return found


def gathered(wanted: Sequence[Wanted], parts: Sequence[tuple[Share, Sequence[Piece]]], kept: Pieces, what: str) -> list[Piece]:
    """The whole pieces that are wanted, out of what `measured` gave of each share, and kept; `what` they are parts of is named in errors.

    Raises ValueError where shares are missing, or were not measured of the same and alike.
    """
    check_complete([share for share, _ in parts], what)
    computing: Mapping[str, Any] = next((piece.key["computing"] for _, pieces in parts for piece in pieces), {})
    keys = [one.under(computing) for one in wanted]
    if any([piece.key for piece in pieces] != keys for _, pieces in parts):
        raise ValueError(
            f"the parts of {what} differ in device, threads, precision or packages, or were measured with other settings or code than is "
            "asked for; make the nodes of the run alike (or say `compute: device`), delete the parts and run again"
        )
    found = []
    for number, one in enumerate(wanted):
        shares = [pieces[number] for _, pieces in parts]
        there = next((piece for piece in shares if piece.share == WHOLE), None)  # a part hands on what it found whole
        found.append(there or _joined(shares))
        if one.certain and there is None:
            kept.keep(found[-1])
    return found


def _joined(shares: Sequence[Piece]) -> Piece:
    """A piece out of all of its shares."""
    first = shares[0]
    took = Taken.together([Taken(**piece.took) for piece in shares])
    return Piece(first.key, WHOLE, JOINED[first.key["kind"]]([piece.found for piece in shares]), asdict(took))
