"""What is missing is installed from where drank came: a clone, the clone it was installed from, or a repository."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from pathlib import Path

import pytest

from drank.runtime import installing
from drank.runtime.installing import install


def test_in_a_clone_it_is_the_clone():
    clone = Path(__file__).parents[3]
    assert install() == f"pip install -e {shlex.quote(str(clone))}", "in place, or results would tell no commit"
    assert shlex.split(install("onnx", "--pre")) == ["pip", "install", "--pre", "-e", f"{clone}[onnx]"]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"url": "file://{folder}/my%20clone", "dir_info": {}}, "{folder}/my clone[vllm]"),
        ({"url": "file://{folder}/gone", "dir_info": {}}, "drank[vllm]"),
        ({"url": "https://host/drank", "vcs_info": {"vcs": "git", "commit_id": "a"}}, "drank[vllm] @ git+https://host/drank"),
        ({}, "drank[vllm]"),
    ],
)
def test_installed_it_is_what_pip_wrote_down(told, wanted, tmp_path, monkeypatch):
    (tmp_path / "my clone").mkdir()
    address = {key: value.format(folder=tmp_path) if key == "url" else value for key, value in told.items()}
    written = type("Installed", (), {"read_text": lambda self, name: json.dumps(address) if name == "direct_url.json" and told else None})()
    monkeypatch.setattr(installing, "PACKAGE", tmp_path / "site-packages" / "drank")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: written)
    assert shlex.split(install("vllm")) == ["pip", "install", wanted.format(folder=tmp_path)]


def test_one_that_is_copied_alone_is_known_by_its_name(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installing, "PACKAGE", tmp_path / "drank")
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install() == "pip install drank"
