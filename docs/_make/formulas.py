"""Formulas as MathML: what pymdownx.arithmatex left as TeX between its delimiters."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)
TAG = re.compile(r"\\tag\{(.*?)\}")

SPELT = {r"\arg\min": r"\operatorname{arg\,min}"}
"""What GitHub knows and the converter does not, in other words."""


def rendered(page: str, name: str = "") -> str:
    """The HTML of a page with every formula as MathML; raises ValueError naming the page and the formula that cannot be read."""
    page = BLOCK.sub(lambda match: _block(html.unescape(match[1]), name), page)
    return INLINE.sub(lambda match: _mathml(html.unescape(match[1]), "inline", name), page)


def _block(tex: str, name: str) -> str:
    tag = TAG.search(tex)
    number = f'<span class="formula-number">({tag[1]})</span>' if tag else ""
    return f'<div class="formula">{_mathml(TAG.sub("", tex), "block", name)}{number}</div>'


def _mathml(tex: str, display: str, name: str) -> str:
    tex = tex.strip()
    spelt = tex
    for there, here in SPELT.items():
        spelt = spelt.replace(there, here)
    try:
        found: str = convert(spelt, display=display)
    except Exception as error:
        raise ValueError(f"{name}: the formula {tex!r} cannot be converted to MathML ({type(error).__name__}: {error})") from error
    if unknown := re.findall(r"\\[a-zA-Z]+", found):  # the converter shows commands that it does not know as they are
        raise ValueError(f"{name}: the formula {tex!r} has {', '.join(unknown)}, which the converter does not know; write it otherwise")
    return found
