"""Odd inputs give the right numbers or an error in words, at the check wherever what is wrong shows in names, headers and settings."""

from __future__ import annotations

import re

import pytest

from drank.config import ConfigError
from drank.runtime.log import foreseen
from tests.unit.odd_beginnings import begin, measured
from tests.unit.odd_inputs import INPUTS, PLAIN, SAME_TEXT


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[str, float]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder := begin(tmp_path_factory.mktemp("plain")))
        return measured(folder)


@pytest.mark.parametrize("name", INPUTS)
def test_an_odd_input_gives_the_right_number_or_an_error_in_words(name, plain, tmp_path, monkeypatch):
    odd, expected = INPUTS[name]
    monkeypatch.chdir(begin(tmp_path))
    odd(tmp_path)
    if expected in (PLAIN, SAME_TEXT):
        ids, perplexity = measured(tmp_path)
        assert (ids, perplexity) == (plain[0], pytest.approx(plain[1], rel=1e-5 if expected == PLAIN else 1e-2))
        return
    with pytest.raises(Exception, match=r".") as error:
        measured(tmp_path)
    assert foreseen(error.value, error.tb), "a traceback would be shown"
    stage = "check: " if isinstance(error.value, ConfigError) else ""
    assert re.search(expected, stage + str(error.value), re.S)
