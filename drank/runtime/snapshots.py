"""The snapshot of a repository that lies in the local cache of the hub."""

from __future__ import annotations

from pathlib import Path


def cached(repository: str, revision: str | None = None, kind: str = "model") -> Path:
    """The folder of a snapshot (`kind` is model or dataset); nothing is fetched.

    Newer clients refuse one that lacks any file of the repository, such as a .gitattributes that drank never asks for: it counts as it
    is. Raises LocalEntryNotFoundError where there is none.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, repo_type=kind, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        if kept := getattr(error, "snapshot_path", None):
            return Path(kept)
        raise
