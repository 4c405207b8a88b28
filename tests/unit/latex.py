"""Articles as authors write them, typeset with what the pipeline made, and what LaTeX complains of."""

import re
import shutil
import subprocess

import pytest

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is not installed")

ARTICLES = {
    "one column": r"\documentclass{article}",
    "two columns": r"\documentclass[10pt,twocolumn]{article}"
    r"\usepackage[letterpaper,textwidth=7in,columnsep=0.3in,textheight=9in]{geometry}",
}
"""The heads of articles: LaTeX's own with its margins, and one whose columns are 3.35 inches wide."""


def typeset(folder, name, text):
    """The text of the PDF that LaTeX makes of a document in a folder; fails where it refuses, or where a line is too wide by over 2 pt."""
    (folder / f"{name}.tex").write_text(text, "utf-8")
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / f"{name}.log").read_text("latin-1")
    assert done.returncode == 0, log[-3000:]
    overfull = re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)[^\n]*", log)
    assert [wide for wide in overfull if float(wide) > 2] == [], log
    assert not re.findall(r"Reference `.*' on page|Citation `.*' on page|Float too large[^\n]*", log), log
    told = subprocess.run(["pdftotext", f"{name}.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return told.stdout.decode("utf-8")
