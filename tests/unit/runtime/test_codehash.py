"""The code hash changes with exactly the code that a step can run."""

import os
import shutil
import subprocess
import sys

import pytest

from drank.runtime.codehash import PROJECT, closure, code_of, imports_of

FILES = {
    "__init__.py": '"""A package."""\n__version__ = "1"\n\ndef front_door():\n    from pack import heavy\n    return heavy\n',
    "leaf.py": "LIMIT = 3\n",
    "middle.py": "from pack.leaf import LIMIT\n\ndef double():\n    return 2 * LIMIT\n",
    "late.py": "def work():\n    from . import leaf\n    return leaf.LIMIT\n",
    "typed.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pack.leaf import LIMIT\n",
    "heavy.py": "import pack.middle as m\n",
    "folder/__init__.py": "def all_of_it():\n    from pack.folder.inner import VALUE\n    return VALUE\n",
    "folder/inner.py": "from ..leaf import LIMIT as VALUE\n",
    "folder/other.py": "VALUE = 4\n",
}
MODULES = ("leaf", "middle", "late", "typed", "heavy", "folder", "folder.inner", "folder.other")


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


def test_an_edited_leaf_changes_exactly_its_importers(project):
    importers = {"leaf", "middle", "late", "heavy", "folder", "folder.inner"}
    assert changed(project, "leaf.py", "LIMIT = 4\n") == importers


def test_an_edited_module_in_the_middle_changes_those_above_it(project):
    assert changed(project, "middle.py", FILES["middle.py"].replace("2 *", "3 *")) == {"middle", "heavy"}


def test_the_code_of_a_package_counts_for_the_modules_in_it(project):
    text = FILES["folder/__init__.py"] + "SWITCH = True\n"
    assert changed(project, "folder/__init__.py", text) == {"folder", "folder.inner", "folder.other"}


def test_the_version_alone_changes_nothing(project):
    assert changed(project, "__init__.py", FILES["__init__.py"].replace('"1"', '"2"')) == set()
    assert changed(project, "__init__.py", FILES["__init__.py"] + "import os\n") == set(MODULES)


@pytest.mark.parametrize(
    "text",
    [
        "# why three\nLIMIT = 3  # because\n",
        '"""A leaf."""\n\nLIMIT = (\n    3\n)\n"""What it may not pass."""\n',
        "from typing import TYPE_CHECKING\n",
    ],
)
def test_words_and_format_change_nothing_and_code_does(project, text):
    base = "from typing import TYPE_CHECKING\n\nLIMIT = 3\n" if "TYPE" in text else FILES["leaf.py"]
    edit(project, "leaf.py", base)
    if "TYPE" in text:
        text = base + "if TYPE_CHECKING:\n    pass\n"
        assert "leaf" in changed(project, "leaf.py", text)  # a new branch is code
        text = base + "if TYPE_CHECKING:\n    from pack.middle import double\n"
    assert changed(project, "leaf.py", text) == set()


def test_docstrings_of_functions_and_classes_change_nothing(project):
    edit(project, "leaf.py", "LIMIT = 3\n\nclass A:\n    def f(self):\n        return 1\n")
    text = 'LIMIT = 3\n\nclass A:\n    """An A."""\n\n    def f(self):\n        """One."""\n        return 1\n'
    assert changed(project, "leaf.py", text) == set()


def test_closure_follows_functions_but_not_the_front_door_nor_imports_for_types(project):
    assert closure("pack.late", project=project) == ("pack", "pack.late", "pack.leaf")
    assert closure("pack.typed", project=project) == ("pack", "pack.typed")
    assert closure("pack.folder", project=project) == ("pack", "pack.folder", "pack.folder.inner", "pack.leaf")
    assert closure("pack.folder.other", project=project) == ("pack", "pack.folder", "pack.folder.other")
    assert closure("pack.folder.other", "pack.folder", project=project)[-2:] == ("pack.folder.other", "pack.leaf")


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
    with pytest.raises(ModuleNotFoundError, match=r"no module 'pack\.laef'.*near: pack\.leaf"):
        code_of("pack.laef", project=project)
    edit(project, "middle.py", "from pack.gone import x\n")
    with pytest.raises(ModuleNotFoundError, match=r"'pack\.gone', which pack\.middle names"):
        code_of("pack.heavy", project=project)


def test_imports_of_a_script_are_modules(project):
    script = project / "script.py"
    script.write_text("import json\nfrom pack.middle import double\nfrom pack import late\n\ndef f():\n    import pack.folder.inner\n")
    assert imports_of(script, "pack", project) == ("pack.folder.inner", "pack.late", "pack.middle")


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


def test_measuring_does_not_hang_on_how_a_model_was_made():
    """An edit of calibration, allocation or compression must not measure the dense model again."""
    for script in ("evaluate", "throughput"):
        reached = closure(*imports_of(PROJECT / f"workflow/scripts/{script}.py"))
        made = ("drank.calibration.", "drank.spectra.", "drank.allocation.allocate", "drank.allocation.filling", "drank.methods")
        assert [module for module in reached if module.startswith(made)] == []
        assert [module for module in reached if module.startswith("drank.compression.")] == ["drank.compression.making"]


def test_tables_do_not_reach_what_computes_with_tensors():
    reached = set(closure("drank.reporting.tables"))
    assert {"drank.reporting.comparisons", "drank.reporting.records"} <= reached
    assert not reached & {
        "drank.calibration.moments",
        "drank.spectra.spectrum",
        "drank.models.lowrank",
        "drank.models.checkpoint",
        "drank.evaluation.perplexity",
        "drank.testbed.training",
    }
