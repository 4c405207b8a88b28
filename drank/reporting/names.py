"""How methods, ratios, data sets and numbers are written in print; tables, figures and the report all ask here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from drank.methods import METHODS
from drank.variants import CALIBRATION_AXES, base_of, said, values_in, variant

ROLES = {"q": "Q", "k": "K", "v": "V", "o": "O", "qkv": "QKV"}
"""Roles that are printed other than they are written."""

SHORT = {
    "wikitext2": "Wiki2",
    "ptb": "PTB",
    "c4": "C4",
    "openbookqa": "OBQA",
    "arc_easy": "ARC-e",
    "arc_challenge": "ARC-c",
    "winogrande": "WinoG",
    "hellaswag": "HellaS",
    "piqa": "PIQA",
    "mathqa": "MathQA",
}
"""Data sets that the papers of the field abbreviate in the headers of their tables."""

DENSE = "dense"
"""The uncompressed model, which every other method is compared with."""

BASELINE = "svd-llm"
"""The method that every other one is compared with at the same ratio."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "–": "--",
    "⁶": "$^6$",
    "β": r"$\beta$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "ω": r"$\omega$",
    "Δ": r"$\Delta$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\rightarrow$",
    "†": r"$^\dagger$",
    "\u00a0": "~",
    "\u202f": r"\,",
}


def method_name(label: str) -> str:
    """`D-Rank` for `d-rank`, `D-Rank (n = 3)` for a variant of it, `D-Rank pivoted` for a configuration's own `d-rank-pivoted`.

    What begins with no method of the table is as it is.
    """
    base = base_of(label)
    known = max((name for name in METHODS if base == name or base.startswith(f"{name}-")), key=len, default=None)
    title = base if known is None else f"{METHODS[known].title}{base.removeprefix(known).replace('-', ' ')}"
    return f"{title} ({said(label)})" if said(label) else title


def baseline_of(label: str) -> str:
    """The label of SVD-LLM calibrated as the method of this label is: one that has seen other text is no baseline for what text gives."""
    return variant(BASELINE, {axis: value for axis, value in values_in(label).items() if axis in CALIBRATION_AXES})


def corpus_of(text: str, corpora: Collection[str]) -> str | None:
    """Which of these corpora a text is of by its name, `corpus` or `corpus.split`, first the longer; None where it is of none of them."""
    return next((name for name in (text, text.rpartition(".")[0]) if name in corpora), None)


def is_control(label: str) -> bool:
    """Whether a method is there to check the pipeline rather than to compete."""
    return base_of(label) in METHODS and METHODS[base_of(label)].control


def is_dense(label: str) -> bool:
    """Whether a label is that of the uncompressed model."""
    return label in METHODS and not METHODS[label].compresses and not METHODS[label].checkpoint


def competes(label: str) -> bool:
    """Whether a method compresses and is no control."""
    return not is_control(label) and not is_dense(label)


def role_name(role: str) -> str:
    """`Q` for `q`; a role without a symbol as it is, with spaces."""
    return ROLES.get(role, role.replace("_", " "))


def percent(ratio: float) -> str:
    """`20 %` for 0.2, with a narrow space that does not break."""
    return f"{100 * ratio:.4g}\u202f%"


def lines(name: str, width: int = 9) -> list[str]:
    """A name broken at its spaces, hyphens and underscores where it is longer than a column is wide."""
    broken: list[str] = []
    for part in re.findall(r"[^ _-]*[ _-]?", name):
        if broken and len(broken[-1]) + len(part.rstrip()) <= width:
            broken[-1] += part
        elif part:
            broken.append(part)
    return [line.rstrip() for line in broken]


def hyphenated(word: str, width: int = 8) -> list[str]:
    """A word in two where it is longer than a narrow column is wide: before a consonant that a vowel follows, near its middle."""
    breaks = [
        at for at in range(3, len(word) - 2) if word[at - 1 : at + 2].isalpha() and word[at] not in "aeiouy" and word[at + 1] in "aeiou"
    ]
    if len(word) <= width or not breaks:
        return [word]
    at = min(breaks, key=lambda place: abs(place - len(word) / 2))
    return [f"{word[:at]}-", word[at:]]


def escape(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def unique(values: Iterable[str]) -> list[str]:
    """The values without repetition, in the order of their first appearance."""
    return list(dict.fromkeys(values))


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def refusals(reasons: Mapping[str, str]) -> str:
    """A sentence that names the methods which do not apply to a model, and why; empty where all do."""
    return f"Not applicable: {'; '.join(f'{method_name(label)} ({reason})' for label, reason in reasons.items())}." if reasons else ""


def span(values: Iterable[float], digits: int) -> str:
    """From the smallest to the largest as printed, `0.10 to 0.25`; once where both print alike, and zero without a sign."""
    ordered = sorted(values)
    ends = (number(value, digits) for value in (ordered[0], ordered[-1]))
    return " to ".join(unique(end if end.strip("−0.") else end.removeprefix("−") for end in ends))


def number(value: float, digits: int = 2) -> str:
    """Fixed digits below a thousand, none above, powers of ten from a million on."""
    size = abs(value)
    text = f"{value:.1e}" if size >= 1e6 else f"{value:.0f}" if size >= 1000 else f"{value:.{digits}f}"
    return text.replace("-", "−")
