"""How numbers, ratios and names are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.reporting.names import escape, lines, method_name, number, percent
from drank.reporting.tables.quantities import signed


@pytest.mark.parametrize(
    ("value", "text"), [(7.456, "7.46"), (999.994, "999.99"), (20061.4, "20061"), (2.5e7, "2.5e+07"), (-0.5, "−0.50"), (0.0, "0.00")]
)
def test_numbers_have_sensible_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("svd-llm", "SVD-LLM"),
        ("svd-llm+group=2", "SVD-LLM (n = 2)"),
        ("svd-llm-pivoted", "SVD-LLM pivoted"),
        ("d-rank-at-most-3+beta=0.2", "D-Rank at most 3 (β = 0.2)"),
        ("svdllm-pivoted", "svdllm-pivoted"),
        ("mine", "mine"),
    ],
)
def test_what_a_configuration_calls_after_a_method_is_printed_after_it(label, name):
    assert method_name(label) == name


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.50"), (-0.5, "−0.50"), (0.0, "0.00"), (-0.001, "0.00"), (1500.0, "+1500")])
def test_differences_have_a_sign(value, text):
    assert signed(value) == text


def test_ratios_are_percent():
    assert [percent(ratio) for ratio in (0, 0.07, 0.2, 0.125)] == ["0\u202f%", "7\u202f%", "20\u202f%", "12.5\u202f%"]


@given(st.text(alphabet="ab-_ ", max_size=40))
def test_broken_names_lose_nothing_but_spaces(name):
    assert "".join(lines(name)).replace(" ", "") == name.replace(" ", "")


def test_escape_leaves_no_character_that_latex_reads():
    assert escape("50% of a_b & {c} #1 $x^2~\\") == r"50\% of a\_b \& \{c\} \#1 \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}"
