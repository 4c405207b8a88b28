"""The embedded corpora, on a small tree of packages instead of all that is installed."""

import ast
import sys

import pytest

from drank.corpora import embedded, installed
from drank.corpora.docstrings import split_of
from drank.corpora.documents import Document, text_hash
from drank.corpora.embedded import python_code, python_docs, python_reference
from drank.corpora.installed import package_versions

LONG = "Say something long enough to be prose and not a mere label"

SOURCES = {
    "alpha": f'"""{LONG}, alpha."""\n\f\ndef first(self, a, /, b, *rest, c=1, **more):\n    """{LONG}, first."""\n    return 1\n',
    "beta": (
        f'class Box:\n    """{LONG}, Box.\n\n    Back.\n        Indented more.\n    """\n\n'
        f'    def open(self, key):\n        """{LONG}, open."""\n\n'
        "    def shut(self):\n        'Too short.'\n"
    ),
    "gamma": f'if True:\n    try:\n        async def hidden():\n            """{LONG}, hidden."""\n    finally:\n        pass\n',
    "zeta": f'def copied():\n    """{LONG}, first."""\n',  # the docstring of alpha.first
    "broken": "def f(:\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source)
    files = [(f"pack.{name}", tmp_path / f"{name}.py") for name in sorted(SOURCES)]
    monkeypatch.setattr(embedded, "all_modules", lambda: iter(files))
    monkeypatch.setattr(embedded, "package_versions", dict)
    return tmp_path


def test_docstrings_are_found_wherever_they_stand_under_headings_that_name_them(tree):
    headings = {document.name for document in python_docs()}
    assert headings == {
        "module pack.alpha",
        "pack.alpha.first(a, b, *rest, c, **more)",
        "class pack.beta.Box",
        "pack.beta.Box.open(key)",
        "pack.gamma.hidden()",
    }


def test_a_document_is_heading_and_cleaned_docstring(tree):
    box = next(document for document in python_docs() if document.name == "class pack.beta.Box")
    assert box.text == f"class pack.beta.Box\n\n{LONG}, Box.\n\nBack.\n    Indented more."
    assert box.split == split_of("pack.beta")


def test_no_docstring_stands_twice_nor_in_two_splits(tree):
    documents = python_docs()
    bodies = [document.text.partition("\n\n")[2] for document in documents]
    assert len(set(bodies)) == len(bodies)
    assert not any("copied" in document.name for document in documents), "a shared docstring goes to the first module by name"


def test_the_order_does_not_depend_on_that_of_the_files(tree, monkeypatch):
    forward = python_docs()
    files = [(f"pack.{name}", tree / f"{name}.py") for name in sorted(set(SOURCES) - {"zeta"}, reverse=True)]
    monkeypatch.setattr(embedded, "all_modules", lambda: iter(files))
    assert python_docs() == forward


def test_splits_have_their_shares():
    splits = [split_of(f"package.module{number}") for number in range(20_000)]
    assert splits.count("train") / 20_000 == pytest.approx(0.90, abs=0.01)
    assert splits.count("validation") / 20_000 == pytest.approx(0.05, abs=0.006)
    assert splits.count("test") / 20_000 == pytest.approx(0.05, abs=0.006)
    assert split_of("torch.nn.modules.linear") == split_of("torch.nn.modules.linear")


def test_python_code_holds_the_code_and_no_docstring(tree, monkeypatch):
    monkeypatch.setattr(embedded, "library_folder", lambda: tree)
    documents = python_code()
    assert {document.name for document in documents} == {"alpha", "beta", "gamma", "zeta"}
    assert {document.split for document in documents} == {"test"}
    text = "\n".join(document.text for document in documents)
    assert LONG not in text
    assert "Too short" not in text
    assert "def first(self, a, /, b, *rest, c=1, **more):\n    return 1" in text
    assert documents == sorted(documents, key=lambda document: text_hash(document.text))


def test_python_reference_is_one_document_per_topic():
    documents = python_reference()
    assert len(documents) > 50
    assert all(isinstance(document, Document) and document.split == "test" for document in documents)
    assert "lambda" in {document.name for document in documents}


def test_the_standard_library_is_listed_without_its_tests():
    listed = dict(installed.modules(installed.library_folder(), ""))
    assert {"json", "json.decoder", "argparse"} <= listed.keys()
    assert not any({"test", "site-packages", "idlelib"} & set(name.split(".")) for name in listed)
    assert ast.get_docstring(ast.parse(listed["json"].read_text()))


def test_missing_packages_are_all_named(monkeypatch):
    monkeypatch.setattr(installed, "PACKAGES", {"nope": "no-such-package", "numpy": "numpy", "neither": "nor-this-one"})
    with pytest.raises(ModuleNotFoundError, match=r"no-such-package, nor-this-one; install the lock file"):
        package_versions()


def test_versions_name_python_and_every_package():
    versions = package_versions()
    assert set(versions) == {"python", *installed.PACKAGES.values()}
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
