"""What Snakemake notes of each result, kept so that no result is ever taken for current without it.

Snakemake decides what to make again by the parameters and inputs that it noted when a job was done, in `.snakemake/metadata`; of a result
without a note it looks at the time alone. Notes are missing where the main process died before its jobs did, was killed while it wrote
one, or where results were copied without that folder. So here the jobs write their notes themselves, each note is laid beside the results
too, with fingerprints of what was read and made, and a result without a note that holds counts as unfinished.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from drank.runtime.files import file_hash, read_json, write_json
from drank.runtime.orphans import failing

ENDS = 1 << 16
"""Bytes of a file's start and end that its fingerprint is made of, beside its size."""


def keep_notes(results: str | Path = "results", aside: Collection[str] = (), parts: str = "results/parts/") -> None:
    """From now on keep Snakemake's notes as this module says.

    `aside` are names of files in results that change after they are made. Inputs whose path begins with `parts` are not noted: they are the
    parts of a step that was divided, and into how many changes no result.
    """
    from snakemake.persistence.file import FilePersistence

    if not hasattr(FilePersistence, "drank_notes"):
        FilePersistence.drank_notes = _Notes(FilePersistence)
    notes = FilePersistence.drank_notes
    notes.place, notes.aside, notes.parts = Path(results), frozenset(aside), parts


class _Notes:
    """The methods that stand in for those of Snakemake's persistence, which `kind` is."""

    place: Path
    aside: frozenset[str]
    parts: str

    def __init__(self, kind: Any) -> None:
        notes, finished, incomplete, read, inputs = self, kind.finished, kind.incomplete, kind._read_record, kind._input

        @functools.wraps(finished)
        async def finished_with_note(persistence: Any, job: Any) -> None:
            if not failing.get():
                await finished(persistence if persistence.dag.workflow.is_main_process else _as_main(persistence), job)
                notes.lay_beside(persistence, job)

        @functools.wraps(incomplete)
        async def incomplete_without_note(persistence: Any, job: Any) -> list[Any]:
            found: list[Any] = await incomplete(persistence, job)
            if persistence.dag.workflow.is_main_process and persistence.dag.workflow.execution_settings.keep_metadata:
                found += [file for file in job.output if file not in found and await file.exists() and not persistence.metadata(file)]
            return found

        @functools.wraps(read)
        def read_or_restore(persistence: Any, key: str) -> Any:
            return read(persistence, key) or notes.restored(persistence, key)

        @functools.wraps(inputs)
        def inputs_without_parts(persistence: Any, job: Any) -> list[str]:
            return [path for path in inputs(persistence, job) if not path.startswith(notes.parts)]

        kind.finished, kind.incomplete = finished_with_note, incomplete_without_note
        kind._read_record, kind._input = read_or_restore, inputs_without_parts

    def path(self, key: str) -> Path | None:
        """Where the note of a result lies; None for what is none, or a part, which does not stay."""
        file = Path(key)
        if key.startswith(self.parts) or not file.is_relative_to(self.place):
            return None
        return self.place / ".notes" / file.relative_to(self.place).with_name(f"{file.name}.json")

    def fingerprint(self, path: str) -> str | None:
        """What tells a file or folder from another; of what a user gave all of it, of results, which may be huge, `fingerprint`."""
        if Path(path).is_relative_to(self.place):
            return fingerprint(path, self.aside)
        return file_hash(path) if Path(path).exists() else None

    def lay_beside(self, persistence: Any, job: Any) -> None:
        """Write the notes of a job's results beside them."""
        persistence._clear_cache()  # which holds what was there before the job was done
        whole = [str(file) for file in job.input if not str(file).startswith(self.parts)]
        inputs = {file: found for file in whole if (found := self.fingerprint(file))}
        for output in job.output:
            note, record = self.path(str(output)), persistence.metadata(output)
            if note is not None and record is not None:
                write_json(note, {"record": dict(record.items()), "output": self.fingerprint(str(output)), "inputs": inputs})

    def restored(self, persistence: Any, key: str) -> Any:
        """The note of a result from beside it, handed back to Snakemake; None where the result or what it was made of is another."""
        from snakemake.persistence import MetadataRecord

        note = self.path(key)
        if note is None or not note.is_file():
            return None
        known = read_json(note)
        if known["output"] != self.fingerprint(key):
            return None
        if any(self.fingerprint(file) not in (None, found) for file, found in known["inputs"].items()):
            return None
        record = MetadataRecord.model_validate(known["record"])
        persistence._write_record(key, record)
        return record


def fingerprint(path: str | Path, aside: Collection[str] = ()) -> str | None:
    """A hash of a file's size, start and end, or of those of all files of a folder by name, without those `aside`; None for nothing."""
    path = Path(path)
    if path.is_file():
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(ENDS)
            file.seek(max(size - ENDS, 0))
            return hashlib.sha256(b"%d %b %b" % (size, start, file.read(ENDS))).hexdigest()[:32]
    if not path.is_dir():
        return None
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name not in aside)
    return hashlib.sha256(json.dumps([[str(file.relative_to(path)), fingerprint(file)] for file in files]).encode()).hexdigest()[:32]


class _With:
    """An object with other values for some of its attributes."""

    def __init__(self, what: Any, **others: Any) -> None:
        self._what = what
        self.__dict__.update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._what, name)


def _as_main(persistence: Any) -> Any:
    """The persistence of a job, writing notes as the main process does: else it only forgets that the job was unfinished."""
    from snakemake.settings.types import ExecMode

    main = copy.copy(persistence)
    main.dag = _With(persistence.dag, workflow=_With(persistence.dag.workflow, exec_mode=ExecMode.DEFAULT))
    return main
