"""The commit of a git tree: told by git, whoever owns the tree, and by its files where there is no git."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drank.runtime import git_tree
from drank.runtime.git_tree import git_state


def _git(folder, *arguments):
    who = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    command = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **who})


def test_git_state_tells_commit_and_changes(tmp_path):
    package, foreign = tmp_path / "package", tmp_path / "foreign"
    package.mkdir()
    foreign.mkdir()
    assert git_state(package) is None
    _git(tmp_path, "init", "-q")
    assert git_state(package) is None
    (package / "code.py").write_text("one")
    (tmp_path / ".gitignore").write_text("foreign\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    clean = git_state(package)
    assert clean is not None
    assert clean["dirty"] is False
    assert len(clean["commit"]) == 40
    (package / "code.py").write_text("two")
    assert git_state(package) == {"commit": clean["commit"], "dirty": True}
    (foreign / "code.py").write_text("installed into an environment inside somebody's repository")
    assert git_state(foreign) is None


@pytest.fixture
def tree(tmp_path):
    """A git tree with one commit, and its hash."""
    (tmp_path / "tree" / "drank").mkdir(parents=True)
    (tmp_path / "tree" / "drank" / "code.py").write_text("one")
    _git(tmp_path / "tree", "init", "-q")
    _git(tmp_path / "tree", "add", ".")
    _git(tmp_path / "tree", "commit", "-q", "-m", "first")
    commit = subprocess.run(["git", "-C", str(tmp_path / "tree"), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return tmp_path / "tree", commit.stdout.strip()


def without_git(monkeypatch):
    """Let there be no program git."""
    monkeypatch.setattr(git_tree.subprocess, "run", _missing)


def _missing(*_args, **_options):
    raise FileNotFoundError("git")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a tree to somebody else")
def test_a_tree_of_another_owner_knows_its_commit(tree, monkeypatch):
    folder, commit = tree
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 12345, 12345)
    monkeypatch.delenv("SUDO_UID", raising=False)
    bare = subprocess.run(["git", "-C", str(folder), "status"], capture_output=True, text=True, check=False)
    assert "dubious ownership" in bare.stderr
    assert git_state(folder / "drank") == {"commit": commit, "dirty": False}


def test_a_hooks_own_repository_is_not_taken_for_it(tree, tmp_path, monkeypatch):
    folder, commit = tree
    _git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert git_state(folder / "drank") == {"commit": commit, "dirty": False}


def test_without_git_the_files_of_the_tree_tell_the_commit(tree, tmp_path, monkeypatch):
    folder, commit = tree
    _git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "beside"))
    _git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "branch"))
    _git(folder, "branch", "packed")
    assert git_state(tmp_path / "beside" / "drank") == git_state(tmp_path / "branch" / "drank") == {"commit": commit, "dirty": False}
    without_git(monkeypatch)
    for place in (folder, tmp_path / "beside", tmp_path / "branch"):
        assert git_state(place / "drank") == {"commit": commit, "dirty": None}


def test_without_git_packed_branches_are_read(tree, monkeypatch):
    folder, commit = tree
    _git(folder, "pack-refs", "--all")
    without_git(monkeypatch)
    assert git_state(folder / "drank") == {"commit": commit, "dirty": None}


def test_without_git_what_is_not_tracked_has_no_commit(tree, tmp_path, monkeypatch):
    folder, _ = tree
    (folder / "env" / "drank").mkdir(parents=True)
    (tmp_path / "unpacked").mkdir()
    without_git(monkeypatch)
    assert git_state(folder / "env" / "drank") is None
    assert git_state(tmp_path / "unpacked") is None


def test_drank_itself_is_asked_for_wherever_it_runs(tmp_path):
    """The commit in a record is that of the code, not of the folder that the run works in."""
    _git(tmp_path, "init", "-q")
    code = "from drank.runtime.provenance import origin; print((origin('cpu', 1, 0.0)['git'] or {}).get('commit'))"
    root = Path(__file__).parents[3]
    here = {**os.environ, "PYTHONPATH": str(root)}
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=here, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str((git_state(root / "drank") or {}).get("commit"))
