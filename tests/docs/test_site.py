"""The site: it builds without a warning and without a network, and its formulas are formulas."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.docs.blocks import PROJECT

OURS = PROJECT / "docs" / "_make"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(OURS / "make_site.py"), str(folder)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that builds the site."""
    monkeypatch.syspath_prepend(str(OURS))
    return importlib.import_module("make_site")


def test_a_reader_s_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    foreign = re.compile(r"""(?:src|href)=["']?(?:https?:)?//[^"'> ]+["']?[^>]*>""")
    fetched = [
        (page.name, tag)
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text("utf-8"))
        if foreign.search(tag) and 'rel="canonical"' not in tag
    ]
    assert fetched == []


def test_every_formula_became_mathml(site: Path) -> None:
    page = (site / "l-rank.html").read_text("utf-8")
    assert page.count("<math") > 100
    left = [path.name for path in site.rglob("*.html") if 'class="arithmatex"' in path.read_text("utf-8")]
    assert left == []


def test_every_page_is_in_the_navigation(ours: ModuleType) -> None:
    text = re.sub(r"!!\S+", "", (PROJECT / "mkdocs.yml").read_text("utf-8"))
    listed = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    there = {path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md")}
    assert listed == there | set(ours.OUTSIDE)


def test_a_formula_that_cannot_be_read_is_named(ours: ModuleType) -> None:
    shown = ours.rendered('<p><span class="arithmatex">\\(a_1 &lt; b\\)</span></p>')
    assert "<math" in shown and "arithmatex" not in shown
    with pytest.raises(ValueError, match=r"page\.md: the formula 'x_' cannot be converted"):
        ours.rendered('<span class="arithmatex">\\(x_\\)</span>', "page.md")
    with pytest.raises(ValueError, match=r"\\nonsense, which the converter does not know"):
        ours.rendered('<span class="arithmatex">\\(\\nonsense x\\)</span>', "page.md")


@pytest.mark.parametrize(
    ("uri", "link", "shown"),
    [
        ("methods/index.md", "../../config/README.md#methods", "../configuration.md#methods"),
        ("configuration.md", "../docs/l-rank.md", "l-rank.md"),
        ("contributing.md", "docs/architecture.md", "architecture.md"),
        ("use.md", "methods/after.md#lora", "methods/after.md#lora"),
        ("use.md", "https://example.org", "https://example.org"),
        ("use.md", "#loading", "#loading"),
    ],
)
def test_links_as_github_reads_them_become_the_site_s(ours: ModuleType, uri: str, link: str, shown: str) -> None:
    assert ours.relinked(f"see [it]({link}).", uri) == f"see [it]({shown})."


def test_a_dead_anchor_stops_the_build_and_is_named(ours: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](index.md#two)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: one\ntheme: {name: material, font: false}\n")
    monkeypatch.setattr(ours, "ROOT", tmp_path)
    monkeypatch.setattr(ours, "OUTSIDE", {})
    with pytest.raises(SystemExit, match="anchor does not exist") as told:
        ours.build(tmp_path / "site")
    assert "index.md:3" in str(told.value)
    assert not (tmp_path / "site").exists()
