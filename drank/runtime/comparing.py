"""By what Snakemake compares the files of a run with those that a result was made of: by content, where it would look at times."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any

from drank.runtime.content import CONTENTS, content_of


def compare_by_content(file: Any, job: Any, aside: Collection[str]) -> None:
    """Let Snakemake's class of files, but for those in storage, look at content where it would look at times, and jobs not at scripts.

    An input is then "newer" than a result in any case, and after that compared by the checksum that was noted; the code of a script is in
    the parameters of its rule.
    """
    newer, eligible, checksum = file.is_newer, file.is_checksum_eligible, file.checksum

    @functools.wraps(newer)
    async def newer_or_to_be_compared(one: Any, time: float) -> bool:
        return bool(await newer(one, time)) if one.is_storage else not one.is_ancient

    @functools.wraps(eligible)
    async def eligible_where_local(one: Any, threshold: int) -> bool:
        return bool(await (eligible(one, threshold) if one.is_storage else one.exists_local()))

    @functools.wraps(checksum)
    async def checksum_of_content(one: Any, *arguments: Any, **named: Any) -> Any:
        return await checksum(one, *arguments, **named) if one.is_storage else checksum_of(one, aside)

    async def none_for_its_script(_: Any) -> Any:
        nothing: tuple[Any, ...] = ()
        for output in nothing:
            yield output

    file.is_newer, file.is_checksum_eligible, file.checksum = newer_or_to_be_compared, eligible_where_local, checksum_of_content
    job.outputs_older_than_script_or_notebook = none_for_its_script


def checksum_of(path: str, aside: Collection[str]) -> str | None:
    """The content of a file or folder, without what in it is `aside`, as Snakemake writes checksums; None for nothing."""
    content = CONTENTS.of(path, aside)
    return f"sha256:{content}" if content else None


def given(path: str) -> str:
    """What a user gave, by name and content; a path in storage, or one that is not there, as it is."""
    return f"{Path(path).name} {content_of(path)}" if Path(path).is_file() else path
