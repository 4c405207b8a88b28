"""What the names in a file lead to, also where no one import tells it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from drank.runtime import definitions
from drank.runtime.codehash import code_of

ONE = "def rank():\n    return 1\n"
CALLED = "\n\ndef f():\n    return rank()\n"
READ = {
    "all of a module": {"a.py": f"from pack.b import *{CALLED}", "b.py": ONE},
    "all that a package hands on": {"a.py": f"from pack.b import *{CALLED}", "b/__init__.py": "from pack.b.c import rank\n", "b/c.py": ONE},
    "a name by a condition": {
        "a.py": f"import os\n\nif os.name:\n    from pack.b import rank\nelse:\n    from pack.c import rank{CALLED}",
        "b.py": ONE,
        "c.py": "def rank():\n    return 0\n",
    },
    "a name by a condition in a function": {
        "a.py": "def f(x):\n    if x:\n        from pack.b import rank\n    else:\n        from pack.c import rank\n    return rank()\n",
        "b.py": ONE,
        "c.py": "def rank():\n    return 0\n",
    },
    "a package that is handed on whole": {
        "a.py": "from pack import b\n\n\ndef f(name):\n    return getattr(b, name)()\n",
        "b/__init__.py": "from pack.b.c import rank\n",
        "b/c.py": ONE,
    },
}


@pytest.mark.parametrize("files", READ.values(), ids=READ)
def test_what_may_run_counts(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in {"__init__.py": "", **files}.items():
        (tmp_path / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pack" / name).write_text(text)
    before = code_of("pack.a.f", project=tmp_path)
    edited = next(tmp_path / "pack" / name for name, text in files.items() if text == ONE)
    edited.write_text(ONE.replace("1", "22"))
    after = code_of("pack.a.f", project=tmp_path)
    assert after != before


EVERYTHING = """
class A(B):
    def f(self, /, a, *b, c=None, d, **e) -> int:
        return f"{a:>{b}}", {"x": None, **e}, [], (), lambda: ..., b"", 1e-5, a[1:]

async def g():
    match await h():
        case None | {"k": [*_]}:
            raise
"""


def digests(path: Path) -> dict[str, str]:
    definitions._parsed.cache_clear()
    return {name: found.digest for name, found in definitions.read_module(path).definitions.items()}


def test_a_hash_is_the_same_for_every_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.12 on definitions have type parameters, and f-strings parts that are empty; from 3.13 on a dump leaves out what is empty."""
    path = tmp_path / "a.py"
    path.write_text(EVERYTHING)
    before, parse = digests(path), ast.parse

    def of_another_python(*given: object) -> ast.AST:
        tree = parse(*given)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                node._fields, node.type_params = (*{**dict.fromkeys(type(node)._fields), "type_params": None},), []
            elif isinstance(node, ast.JoinedStr):
                node.values.append(ast.Constant(""))
        return tree

    monkeypatch.setattr(ast, "parse", of_another_python)
    assert digests(path) == before
    monkeypatch.undo()
    path.write_text(EVERYTHING.replace("None, **e", "0, **e"))
    assert digests(path)["A"] != before["A"] and digests(path)["g"] == before["g"]


def test_other_pythons_on_this_machine_find_the_same_hashes(tmp_path: Path) -> None:
    others = [path for path in (Path.home() / ".pyenv/versions").glob("3.1[1-9].*/bin/python") if path.is_file()]
    if not others:
        pytest.skip("no other Python 3.11 or later in ~/.pyenv")
    (tmp_path / "a.py").write_text(EVERYTHING)
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import definitions;"
        "print({name: one.digest for name, one in definitions.read_module(pathlib.Path(sys.argv[2])).definitions.items()})"
    )
    folder = Path(definitions.__file__).parent
    command = ["-B", "-c", program, str(folder), str(tmp_path / "a.py")]
    found = {subprocess.run([path, *command], capture_output=True, text=True, check=True).stdout for path in [sys.executable, *others]}
    assert len(found) == 1
