"""The house: a wing for every stage, imports going one way, files that fit in one view, tests that mirror the wings."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRANK = ROOT / "drank"

ORDER = (
    "runtime",
    "corpora",
    "testbed",
    "models",
    "calibration",
    "spectra",
    "allocation",
    "variants",
    "methods",
    "compression",
    "statistics",
    "evaluation",
    "reporting",
    "config",
    "steps",
    "calls",
    "command",
)
"""From the ground up: a wing imports itself and what stands before it. `docs/architecture.md` draws this."""

LONGEST = 200
"""Lines of a file that still fit in one view."""


def wing_of(module):
    return module.split(".")[1]


def modules():
    """Dotted name and syntax tree of every module in a wing."""
    for path in sorted(DRANK.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1:] not in (("__init__",), ("__main__",)):
            yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text("utf-8"))


def imported(tree):
    """The modules of drank that a module imports anywhere, for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports of drank name the whole path"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "drank" else [node.module]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.startswith("drank.") and name != "drank.__version__")


def test_the_listing_is_the_pipeline():
    listed = {path.name.removesuffix(".py") for path in DRANK.iterdir() if not path.name.startswith("_")}
    assert listed == set(ORDER)


def test_imports_go_one_way():
    upward = [
        f"{module} imports {target}"
        for module, tree in modules()
        for target in imported(tree)
        if ORDER.index(wing_of(target)) > ORDER.index(wing_of(module))
    ]
    assert upward == []


def test_no_module_imports_itself_in_a_circle():
    names = {module for module, _ in modules()}
    edges = {
        module: {target if target in names else target.rpartition(".")[0] for target in imported(tree)} - {module}
        for module, tree in modules()
    }
    done = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in edges.get(module, ()):
                visit(target, [*path, module])
            done.add(module)

    for module in edges:
        visit(module, [])


@pytest.mark.parametrize("folder", ["drank", "workflow", "benchmarks", "tests"])
def test_every_file_fits_in_one_view(folder):
    suffixes = {".py", ".smk", ".j2", ".yaml"}
    files = [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]
    assert files
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lengths.items() if count > LONGEST} == {}


def test_unit_tests_mirror_the_wings():
    folders = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ORDER) - {"methods", "variants"}


def test_the_architecture_page_names_every_wing_in_order():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)/?` \|", text, re.MULTILINE)
    assert tuple(rows) == ORDER


def test_nothing_writes_or_reads_a_pickle():
    for name, tree in modules():
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        taken = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
        assert not used & {"torch.save", "torch.load"}, name
        assert not taken & {"pickle", "joblib", "dill", "shelve", "marshal"}, name


def test_no_link_is_committed():
    """A link to an environment of one's own is followed, or dangles, wherever the repository is cloned to."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a repository")
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if line.startswith("120000")] == []
