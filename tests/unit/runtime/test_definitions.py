"""What the names in a file lead to, also where no one import tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

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
