"""A GGUF file inside an installed package is found by what the package lists, and what does not tell it ends in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drank.models import gguf
from drank.models.sources import SourceError, directory_of, problems_of


def test_a_package_that_is_not_there_or_holds_no_such_file_is_told() -> None:
    assert "no-such-package is not installed" in problems_of({"package": "no-such-package"})[0]
    assert "it holds: none" in problems_of({"package": "numpy"})[0]
    with pytest.raises(SourceError, match=r"no file other\.gguf in the package numpy"):
        directory_of({"package": "numpy", "file": "other.gguf"})


def test_of_files_of_one_name_in_a_package_one_is_chosen_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [f"two_models/{folder}/model.gguf" for folder in ("large", "small")]
    written_to = tmp_path / "two_models-1.dist-info"
    for entry in entries:
        (tmp_path / entry).parent.mkdir(parents=True)
        (tmp_path / entry).touch()
    written_to.mkdir()
    (written_to / "METADATA").write_text("Metadata-Version: 2.1\nName: two-models\nVersion: 1\n", "utf-8")
    (written_to / "RECORD").write_text("".join(f"{entry},,\n" for entry in entries), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    held = f"in the package two-models; it holds: {', '.join(entries)}; name one by `file`"
    for asked, said in (
        ({}, "several GGUF files"),
        ({"file": "model.gguf"}, "several files model.gguf"),
        ({"file": "x.gguf"}, "no file x.gguf"),
    ):
        with pytest.raises(gguf.GGUFError, match=re.escape(f"{said} {held}")):
            gguf.file_of({"package": "two-models", **asked})
    assert gguf.file_of({"package": "two-models", "file": entries[1]}) == tmp_path / entries[1]
