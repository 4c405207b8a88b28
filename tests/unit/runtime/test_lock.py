"""The lock of a folder: what is said where another user has it."""

import os
from pathlib import Path

import pytest

from drank.runtime.claiming import claim
from drank.runtime.lock import FolderOfOthersError, hold
from drank.runtime.run import RUN


def test_the_folder_of_another_user_is_told_with_what_to_do(tmp_path, monkeypatch):
    """Root may write everywhere, so that the system's refusal is played."""
    lock, real = tmp_path / ".snakemake/drank.lock", Path.open

    def refuse(path, *arguments, **options):
        if path == lock:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.delenv(RUN, raising=False)
    monkeypatch.setattr(Path, "open", refuse)
    said = rf"cannot be written by you: .* is that of {tmp_path.owner()}; copy its results/"
    with pytest.raises(FolderOfOthersError, match=said) as told:
        claim(tmp_path)
    assert str(tmp_path) in str(told.value) and os.environ.get(RUN) is None
    monkeypatch.setattr(Path, "owner", lambda path: {}[0])
    with pytest.raises(FolderOfOthersError, match="is that of another user"), hold(lock):
        pass
