"""Builds the site without a network: `python docs/_make/make_site.py [FOLDER]` writes it to a folder, site/ by default, which it replaces.

The pages are those of docs/ and a few that stand elsewhere in the repository, as GitHub shows them. They are set side by side in a
temporary folder, with their links turned into those of the site, and given to the generator that mkdocs.yml configures; what it writes
gets its formulas as MathML, which browsers show without a script.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

from formulas import rendered

ROOT = Path(__file__).parents[2]

OUTSIDE = {"configuration.md": "config/README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that stand elsewhere in the repository: there is one text of each."""

LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")


def relinked(markdown: str, page: str) -> str:
    """The text of a page, named by its path in the site, with links to files of the repository turned into links to the site's pages.

    A link that leads to no page stays, and the generator tells of it.
    """
    here = posixpath.dirname(OUTSIDE.get(page, f"docs/{page}"))
    pages = {path: name for name, path in OUTSIDE.items()}

    def site(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, match[1]))
        target = pages.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if target is None:
            return match[0]
        return posixpath.relpath(target, posixpath.dirname(page) or ".") + (match[2] or "")

    return LINK.sub(site, markdown)


def set_out(folder: Path) -> None:
    """Put the sources of the site into a folder: mkdocs.yml, and docs/ with all pages."""
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("_make", "__pycache__"))
    for page, path in OUTSIDE.items():
        shutil.copy(ROOT / path, folder / "docs" / page)
    for path in (folder / "docs").rglob("*.md"):
        page = path.relative_to(folder / "docs").as_posix()
        path.write_text(relinked(path.read_text("utf-8"), page), "utf-8")


def build(out: Path) -> None:
    """Write the site to a folder, which it replaces; raises SystemExit with what the generator says of dead links and other faults."""
    with TemporaryDirectory(prefix="drank-site-") as temporary:
        folder = Path(temporary)
        set_out(folder)
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"NO_COLOR": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout).partition("Traceback")[0]
            raise SystemExit(f"the site has faults; its pages are those of docs/, and {OUTSIDE}\n{said}")
        for path in (folder / "site").rglob("*.html"):
            path.write_text(rendered(path.read_text("utf-8"), path.relative_to(folder / "site").as_posix()), "utf-8")
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(folder / "site", out)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site")
