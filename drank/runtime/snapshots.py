"""The snapshot of a repository of the hub, in its local cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def snapshot(repository: str, needed: Callable[[Path], Iterable[Path]] = lambda folder: (), **options: Any) -> Path:
    """The folder of a snapshot, with the options of `huggingface_hub.snapshot_download`.

    Without a network newer clients refuse one that lacks any file of the repository that is asked for, as one does that was fetched by
    another program or asked for with other patterns: it counts if the files are there that are `needed` of it. Raises
    LocalEntryNotFoundError where there is none, and what else the client does.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, **options))
    except LocalEntryNotFoundError as error:
        kept = getattr(error, "snapshot_path", None)
        if not kept or not all(file.is_file() for file in needed(Path(kept))):
            raise
        return Path(kept)


def cached(repository: str, revision: str | None = None, kind: str = "model") -> Path:
    """The same of a model or a dataset, as it lies in the cache: nothing is fetched."""
    return snapshot(repository, repo_type=kind, revision=revision, local_files_only=True)
