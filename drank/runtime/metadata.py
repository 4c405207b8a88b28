"""What Snakemake notes of each result, kept so that a result is taken for current by what it was made of, and by that alone.

Snakemake decides what to make again by the parameters and inputs that it noted when a job was done, in `.snakemake/metadata`, and by the
times of files. Times say nothing where files were copied, unpacked, checked out anew or put in place of others, and notes are missing where
the main process died before its jobs did, was killed while it wrote one, or where results were copied without that folder. So here

- inputs are compared by content, results by path too, and what a user gave by its name without the folder that it lies in; parameters
  by name, whatever the order of the keys in them;
- a result that is gone, or is not what its job left, counts as unfinished, and so does one of which nothing is noted;
- jobs write their notes themselves, and each note is laid beside the results too, with the content of what was read and made.
"""

from __future__ import annotations

import atexit
import copy
import functools
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from drank.runtime.comparing import checksum_of, compare_by_content, given
from drank.runtime.content import CONTENTS
from drank.runtime.files import read_json, write_json
from drank.runtime.orphans import failing


def keep_notes(results: str | Path = "results", aside: Collection[str] = (), parts: str = "results/parts/") -> None:
    """From now on keep Snakemake's notes as this module says.

    `aside` are names of files in results that change after they are made. Inputs whose path begins with `parts` are not noted: they are the
    parts of a step that was divided, and into how many changes no result.
    """
    from snakemake.io import _IOFile
    from snakemake.jobs import Job
    from snakemake.persistence.file import FilePersistence

    if not hasattr(FilePersistence, "drank_notes"):
        FilePersistence.drank_notes = _Notes(FilePersistence)
        compare_by_content(_IOFile, Job, aside)
        atexit.register(CONTENTS.write)
    notes = FilePersistence.drank_notes
    notes.place, notes.aside, notes.parts = Path(results), frozenset(aside), parts


class _Notes:
    """The methods that stand in for those of Snakemake's persistence, which `kind` is."""

    place: Path
    aside: frozenset[str]
    parts: str

    def __init__(self, kind: Any) -> None:
        self._write_and_read(kind)
        self._compare(kind)

    def _write_and_read(self, kind: Any) -> None:
        """When notes are written and read, and which results they let stand."""
        notes, started, finished, incomplete, read = self, kind.started, kind.finished, kind.incomplete, kind._read_record

        @functools.wraps(started)
        def started_on_what_is_there(persistence: Any, job: Any, *arguments: Any, **named: Any) -> None:
            persistence._input(job)
            started(persistence, job, *arguments, **named)

        @functools.wraps(finished)
        async def finished_with_note(persistence: Any, job: Any) -> None:
            if not failing.get():
                await finished(persistence if persistence.dag.workflow.is_main_process else _as_main(persistence), job)
                notes.lay_beside(persistence, job)

        @functools.wraps(incomplete)
        async def incomplete_or_another(persistence: Any, job: Any) -> list[Any]:
            found: list[Any] = await incomplete(persistence, job)
            workflow = persistence.dag.workflow
            if workflow.is_main_process and (workflow.execution_settings is None or workflow.execution_settings.keep_metadata):
                workflow.dag_settings.force_incomplete = True  # made again, whatever profile says `rerun-incomplete` or does not
                found += [file for file in job.output if file not in found and not await notes.holds(persistence, job, file)]
            return found

        @functools.wraps(read)
        def read_or_restore(persistence: Any, key: str) -> Any:
            return read(persistence, key) or notes.restored(persistence, key)

        kind.started, kind.finished, kind.incomplete = started_on_what_is_there, finished_with_note, incomplete_or_another
        kind._read_record = read_or_restore

    def _compare(self, kind: Any) -> None:
        """What is noted of parameters, inputs and code, and compared with what there is."""
        notes, inputs, params, code, checksums = self, kind._input, kind._params, kind._code, kind.input_checksums

        @functools.wraps(inputs)
        def inputs_by_content(persistence: Any, job: Any) -> list[str]:
            known = persistence.__dict__.setdefault("drank_inputs", {})
            if job not in known:  # what was there before the job ran, should it change meanwhile
                whole = (path for path in inputs(persistence, job) if not path.startswith(notes.parts))
                known[job] = sorted(path if notes.is_result(path) else given(path) for path in whole)
            return list(known[job])

        @functools.wraps(params)
        def params_in_order(persistence: Any, job: Any) -> list[str]:
            rule = job.rule  # two texts that change places are the same values under other names
            named = (name for name, value in rule.params._allitems() if not (callable(value) and rule._is_deriving_function(value)))
            told = zip(named, job.non_derived_params, strict=True)
            return sorted(f"{name}: {json.dumps(value, sort_keys=True, default=repr)}" for name, value in told)

        @functools.wraps(code)
        def code_of_commands(_: Any, rule: Any) -> str | None:
            return None if rule.shellcmd is None else str(rule.shellcmd)  # that of scripts is in their parameters, wherever they lie

        @functools.wraps(checksums)
        def checksums_of_results(persistence: Any, job: Any, path: Any) -> set[Any]:
            part = all(str(file).startswith(notes.parts) and not persistence.metadata(file) for file in job.output)
            if path.is_storage or (notes.is_result(path) and not part):
                return set(checksums(persistence, job, path))
            # Of what a user gave the list of inputs tells, and whether parts that were never made are wanted, the job that adds them.
            return {checksum_of(path, notes.aside)}

        kind._input, kind._params, kind._code = inputs_by_content, params_in_order, code_of_commands
        kind.input_checksums = checksums_of_results

    def is_result(self, path: Any) -> bool:
        """Whether a path is that of a step's result."""
        return Path(path).is_relative_to(self.place)

    def path(self, key: str) -> Path | None:
        """Where the note of a result lies; None for what is none, or a part, which does not stay."""
        if key.startswith(self.parts) or not self.is_result(key):
            return None
        file = Path(key)
        return self.place / ".notes" / file.relative_to(self.place).with_name(f"{file.name}.json")

    def known(self, key: str) -> dict[str, Any] | None:
        """The note of a result, None where there is none, or a damaged one, which tells as much."""
        path = self.path(key)
        if path is None or not path.is_file():
            return None
        try:
            found = read_json(path)
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and "output" in found and all(isinstance(found.get(name), dict) for name in ("record", "inputs"))
        return found if whole else None

    async def holds(self, persistence: Any, job: Any, file: Any) -> bool:
        """Whether a result is what its job left: there, if it was ever made and was to stay, noted, and unchanged."""
        record = persistence.metadata(file)
        if not await file.exists():
            return record is None or file in job.temp_output
        if record is None:
            return False
        known = None if file.is_storage else self.known(str(file))
        return known is None or known["output"] == CONTENTS.of(file, self.aside)

    def lay_beside(self, persistence: Any, job: Any) -> None:
        """Write the notes of a job's results beside them."""
        persistence._clear_cache()  # which holds what was there before the job was done
        whole = [str(file) for file in job.input if not file.is_storage and self.path(str(file))]
        read = {file: CONTENTS.of(file, self.aside) for file in whole}
        for output in job.output:
            note, record = None if output.is_storage else self.path(str(output)), persistence.metadata(output)
            if note is not None and record is not None:
                write_json(note, {"record": dict(record.items()), "output": CONTENTS.of(output, self.aside), "inputs": read})

    def restored(self, persistence: Any, key: str) -> Any:
        """The note of a result from beside it, handed back to Snakemake; None where the result or what it was made of is another."""
        from snakemake.persistence import MetadataRecord

        known = self.known(key)
        if known is None or known["output"] != CONTENTS.of(key, self.aside):
            return None
        if any(CONTENTS.of(file, self.aside) not in (None, found) for file, found in known["inputs"].items()):
            return None
        try:
            record = MetadataRecord.model_validate(known["record"])
        except ValueError:  # of a Snakemake that notes something else
            return None
        persistence._write_record(key, record)
        return record


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
