"""The code hash changes with exactly the code that a step can run."""

import os
import shutil
import subprocess
import sys

import pytest

from drank.runtime.codehash import PROJECT, code_of

FILES = {
    "__init__.py": '"""A package."""\n__version__ = "1"\n\ndef front_door():\n    from pack import heavy\n    return heavy\n',
    "leaf.py": "LIMIT = 3\nUNUSED = 4\n",
    "middle.py": "from pack.leaf import LIMIT\n\ndef double():\n    return 2 * LIMIT\n\ndef unused():\n    return 1\n",
    "late.py": "def work():\n    from . import leaf\n    return leaf.LIMIT\n",
    "typed.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pack.leaf import LIMIT\n\ndef f(x: LIMIT): ...\n",
    "heavy.py": "import pack.middle as m\n\nclass Heavy:\n    size = m.double()\n",
    "folder/__init__.py": "from pack.folder.inner import VALUE\n\ndef all_of_it():\n    return VALUE\n",
    "folder/inner.py": "from ..leaf import LIMIT as VALUE\n\ndef own():\n    return VALUE\n",
    "folder/other.py": "VALUE = 4\n",
    "handed.py": "from pack import folder\n\ndef through():\n    return folder.VALUE\n",
    "effect.py": "TABLE = {}\nTABLE[1] = 2\n\ndef other():\n    return 3\n",
    "loader.py": "from pack.effect import other\n\ndef run():\n    return other()\n",
    "outer.py": "from math import sin as wave\n\ndef run(leaf):\n    return wave(leaf.value)\n",
}
MODULES = tuple(sorted(name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES if name != "__init__.py"))


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def hashes(project):
    return {module: code_of(f"pack.{module}", project=project) for module in MODULES}


def edit(project, name, text):
    path = project / "pack" / name
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))


def changed(project, name, text):
    before = hashes(project)
    edit(project, name, text)
    after = hashes(project)
    return {module for module in MODULES if before[module] != after[module]}


def test_an_edited_definition_changes_exactly_those_that_use_it(project):
    users = {"leaf", "middle", "late", "heavy", "folder", "folder.inner", "handed"}
    assert changed(project, "leaf.py", FILES["leaf.py"].replace("3", "5")) == users
    assert changed(project, "middle.py", FILES["middle.py"].replace("2 *", "3 *")) == {"middle", "heavy"}


def test_what_nobody_uses_changes_its_own_file_alone(project):
    assert changed(project, "leaf.py", FILES["leaf.py"].replace("4", "5")) == {"leaf"}
    assert changed(project, "middle.py", FILES["middle.py"].replace("return 1", "return 2")) == {"middle"}
    assert changed(project, "__init__.py", FILES["__init__.py"].replace("return heavy", "return 1")) == set()
    assert changed(project, "folder/__init__.py", FILES["folder/__init__.py"].replace("return VALUE", "return 1")) == {"folder"}


def test_what_a_module_does_when_it_is_loaded_counts_for_all_that_load_it(project):
    assert changed(project, "effect.py", FILES["effect.py"].replace("[1] = 2", "[1] = 3")) == {"effect", "loader"}
    assert changed(project, "__init__.py", FILES["__init__.py"] + "print(1)\n") == set(MODULES)
    assert changed(project, "folder/__init__.py", FILES["folder/__init__.py"] + "print(1)\n") == {
        *("folder", "folder.inner", "folder.other", "handed"),
    }


def test_the_version_and_imports_that_nothing_uses_change_nothing(project):
    assert changed(project, "__init__.py", FILES["__init__.py"].replace('"1"', '"2"')) == set()
    assert changed(project, "leaf.py", "import os\n" + FILES["leaf.py"]) == set()


def test_another_name_behind_the_same_word_is_another_code(project):
    assert changed(project, "outer.py", FILES["outer.py"].replace("sin", "cos")) == {"outer"}
    body = "\n\ndef run():\n    return one(), two()\n"
    edit(project, "heavy.py", f"from pack.middle import double as one\nfrom pack.late import work as two{body}")
    assert changed(project, "heavy.py", f"from pack.late import work as one\nfrom pack.middle import double as two{body}") == {"heavy"}


def test_a_definition_that_moves_keeps_its_hash(project):
    edit(project, "handed.py", "from pack.middle import double\n\ndef through():\n    return double()\n")
    script = project / "script.py"
    script.write_text('"""Does it."""\nfrom pack.handed import through\n\nthrough()\n')
    before = code_of(script, project=project)
    (project / "pack" / "middle.py").rename(project / "pack" / "centre.py")
    edit(project, "handed.py", "from pack.centre import double\n\ndef through():\n    return double()\n")
    moved = project / "elsewhere" / "other.py"
    moved.parent.mkdir()
    moved.write_text('"""Does it, and says so."""\n# a comment\nfrom pack.handed import through\n\nthrough()\n')
    assert code_of(moved, project=project) == before
    moved.write_text("from pack.handed import through\n\nthrough(1)\n")
    assert code_of(moved, project=project) != before


@pytest.mark.parametrize(
    "text",
    [
        "# why three\nLIMIT = 3  # because\nUNUSED = 4\n",
        '"""A leaf."""\n\nLIMIT = (\n    3\n)\n"""What it may not pass."""\nUNUSED = 4\n',
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pack.middle import double\n\nLIMIT = 3\nUNUSED = 4\n",
    ],
)
def test_words_and_format_change_nothing(project, text):
    assert changed(project, "leaf.py", text) == set()


def test_docstrings_and_annotations_of_functions_change_nothing(project):
    edit(project, "leaf.py", "LIMIT = 3\n\nclass A:\n    def f(self, x):\n        return 1\n")
    text = 'LIMIT = 3\n\nclass A:\n    """An A."""\n\n    def f(self, x: int) -> int:\n        """One."""\n        return 1\n'
    assert changed(project, "leaf.py", text) == set()


def test_a_local_variable_called_like_a_module_is_no_error(project):
    edit(project, "handed.py", "from pack import leaf\n\ndef through(leaf):\n    return leaf.anything.at_all\n")
    assert code_of("pack.handed", project=project)


def test_data_files_count_when_named(project):
    (project / "pack" / "page.html").write_text("<p>")
    before = code_of("pack.leaf", "pack/page.html", project=project)
    assert before != code_of("pack.leaf", project=project)
    (project / "pack" / "page.html").write_text("<b>")
    assert code_of("pack.leaf", "pack/page.html", project=project) != before
    with pytest.raises(FileNotFoundError, match=r"gone\.html"):
        code_of("pack/gone.html", project=project)
    with pytest.raises(ValueError, match=r"name the module, pack\.leaf"):
        code_of("pack/leaf.py", project=project)


def test_an_unknown_module_is_named_with_near_ones(project):
    with pytest.raises(ModuleNotFoundError, match=r"no module or definition 'pack\.laef'.*near: pack\.leaf"):
        code_of("pack.laef", project=project)
    with pytest.raises(ModuleNotFoundError, match=r"definition 'pack\.leaf\.GONE'"):
        code_of("pack.leaf.GONE", project=project)
    edit(project, "middle.py", "from pack.gone import x\n\ndef double():\n    return x\n")
    with pytest.raises(ModuleNotFoundError, match=r"'pack\.gone\.x', which pack\.middle names"):
        code_of("pack.heavy", project=project)


def test_a_copy_elsewhere_hashes_alike(tmp_path):
    shutil.copytree(PROJECT / "drank", tmp_path / "drank", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    modules = ("drank.allocation.plan", "drank.models.families")
    assert code_of(*modules, project=tmp_path) == code_of(*modules)


def test_the_hash_is_the_same_in_another_process_and_imports_nothing():
    program = (
        "import sys; from drank.runtime.codehash import code_of; "
        "print(code_of('drank.allocation.plan', 'drank.calibration.moments')); assert 'torch' not in sys.modules"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    ran = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == code_of("drank.allocation.plan", "drank.calibration.moments")
