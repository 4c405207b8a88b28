"""Where the page of a run leads."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from tests.unit.report_page import Page


def links_in(folder: Path) -> tuple[set[str], set[str]]:
    """The files that the report of a run in a folder leads to, as paths in that folder, and what of its links leads nowhere."""
    file = folder / "results/report.html"
    markup = file.read_text("utf-8")
    addresses = [address for address in Page(markup).addresses if not address.startswith("data:")]
    inside = {address for address in addresses if address.startswith("#")}
    files = {(file.parent / unquote(address)).resolve() for address in addresses if address not in inside}
    dead = {str(path) for path in files if not path.is_file()} | {address for address in inside if f'id="{address[1:]}"' not in markup}
    return {path.relative_to(folder.resolve()).as_posix() for path in files if path.is_relative_to(folder.resolve())}, dead
