"""What was found of a directory, as facts and as a page for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inspection:
    """What a directory is.

    `kind` is one of `compressed`, `dense`, `remote code`, `quantized`, `onnx`, `adapter`, `results` and `nothing`; `what` says it in a
    sentence, `facts` in pairs, `tables` hold rows of columns by title, and `verified` is what `drank.models.verification.verify` says,
    empty where there is nothing to verify.
    """

    directory: Path
    kind: str
    what: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()
    verified: str = ""

    def __str__(self) -> str:
        """All of it, aligned, for a terminal."""
        lines = [f"{self.directory}: {self.what}", *_aligned(self.facts)]
        for title, rows in self.tables:
            lines += ["", title, *_aligned(rows)]
        return "\n".join([*lines, *(["", self.verified] if self.verified else [])])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns begin below each other, indented."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(columns)]
    return [("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False))).rstrip() for row in rows]
