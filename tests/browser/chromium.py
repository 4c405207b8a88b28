"""A real browser without a window: what a page is like in it, at a width or in print."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""What the browser is called, by who ships it."""

OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions")

ASKING = """<script>addEventListener("load", () => {
  let told;
  try { told = (() => { %s })() ?? null; } catch (error) { told = { error: String(error.stack) }; }
  parent.postMessage(JSON.stringify(told), "*");
});</script></body>"""
"""What tells the frame around a page the answer to a question about it."""

FRAME = """<!doctype html><title>frame</title>
<script>addEventListener("message", (event) => { document.documentElement.dataset.told = event.data; });</script>
<iframe src="%s" style="width: %spx; height: 900px; border: 0"></iframe>"""
"""A window of any width: those of the browser itself are not narrower than 500 pixels."""


def lacking() -> str:
    """Why no page can be looked at here; empty where one can."""
    if (browser := found()) is None:
        return f"no browser here ({', '.join(NAMES)}); `make test-browser` installs chromium where root and apt can"
    if shutil.which("pdftotext") is None:
        return "no pdftotext here (Debian: poppler-utils), which reads what the browser prints"
    try:
        started = subprocess.run([browser, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return f"{browser} does not say its version within a minute"
    return "" if started.returncode == 0 else f"{browser} does not start: {started.stderr.strip()[:200]}"


def found() -> str | None:
    """The browser on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def told_by(page: Path, script: str, width: int) -> Any:
    """What the body of a function in JavaScript returns, once the page is there in a window of this width; as JSON can say it."""
    asking, frame = page.with_name(f"asking-{width}.html"), page.with_name(f"frame-{width}.html")
    asking.write_text(page.read_text("utf-8").replace("</body>", ASKING % script), "utf-8")
    frame.write_text(FRAME % (asking.name, width), "utf-8")
    dom = run(f"--window-size={max(width, 500) + 20},950", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri(), profile=page.parent)
    answer = re.search(r'data-told="([^"]*)"', dom)
    assert answer, f"the page did not answer; open {frame} in a browser and look at its console"
    told = json.loads(unescape(answer[1]))
    assert not (isinstance(told, dict) and "error" in told), told
    return told


def print_to(page: Path, pdf: Path) -> None:
    """Print a page."""
    run("--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri(), profile=page.parent)


def run(*arguments: str, profile: Path) -> str:
    """What the browser prints; it keeps what it has to keep in a folder below `profile`."""
    command = [str(found()), *OPTIONS, f"--user-data-dir={profile / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words_in(pdf: Path) -> list[list[tuple[str, float, float]]]:
    """The words of each page, each with how far its left and its right end are from the left edge, in shares of the page's width."""
    text = subprocess.run(["pdftotext", "-bbox", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    pages = []
    for width, page in re.findall(r'<page width="([\d.]+)"[^>]*>(.*?)</page>', text, re.DOTALL):
        words = re.findall(r'<word xMin="([\d.-]+)"[^>]* xMax="([\d.-]+)"[^>]*>(.*?)</word>', page)
        pages.append([(unescape(word), float(left) / float(width), float(right) / float(width)) for left, right, word in words])
    return pages
