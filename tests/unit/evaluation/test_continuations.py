"""What a model writes on its own: the prompts, its words against transformers' own, where it ends, shares, and what it repeats."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.evaluation.continuations import Continuations, continuations_of, prompts_of
from drank.evaluation.losses import losses_of
from drank.evaluation.perplexity import summarised
from drank.evaluation.repetition import repeated, told_of
from drank.evaluation.wanted import wanted_continuations
from drank.runtime.finite import NonFiniteError
from drank.runtime.shares import Share
from tests.unit.evaluation.measuring import llama, measure

ASKED = {"prompts": 5, "prompt": 6, "tokens": 9}
SECTION = {"length": 16, "windows": None, "batch": 3, "bos": "text"}


def endless():
    """A model whose texts no token ends."""
    model = llama(0)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="module")
def model():
    return endless()


@pytest.fixture(scope="module")
def windows(nine_windows):
    return nine_windows.consecutive(16)


def test_prompts_begin_windows_spread_over_the_text(windows):
    found = prompts_of(windows, {"prompts": 3, "prompt": 6, "tokens": 4})
    assert [prompt.tolist() for prompt in found] == [windows[number][:6].tolist() for number in (0, 2, 5)]
    assert len(prompts_of(windows, {"prompts": 100, "prompt": 6, "tokens": 4})) == 8, "the short last window is none"
    assert {len(prompt) for prompt in prompts_of(windows, {"prompts": 2, "prompt": 32, "tokens": 4})} == {8}, "half a window"


def test_each_token_is_the_likeliest_after_all_before(model, windows):
    found = continuations_of(model, windows, ASKED, "toy")
    for prompt, written in zip(found.prompts, found.written, strict=True):
        assert len(prompt) == 6 and len(written) == 9
        for number, token in enumerate(written):
            with torch.no_grad():
                assert model(torch.tensor([prompt + written[:number]])).logits[0, -1].argmax() == token


def test_a_model_that_remembers_otherwise_writes_the_same(model, windows, monkeypatch):
    whole = continuations_of(model, windows, ASKED, "toy")
    monkeypatch.setattr("drank.evaluation.continuations.FAMILIES", {})
    assert continuations_of(model, windows, ASKED, "toy") == whole


def test_prompt_and_continuation_fit_in_the_window(model, windows):
    found = continuations_of(model, windows, {"prompts": 2, "prompt": 40, "tokens": 500}, "toy")
    assert {len(prompt) for prompt in found.prompts} == {len(ids) for ids in found.written} == {8}


@pytest.mark.parametrize("told", ["generation", "model"])
def test_what_ends_a_text_ends_a_continuation(windows, told):
    model = endless()
    whole = continuations_of(model, windows, ASKED, "toy").written
    end = whole[0][4]
    model.generation_config = SimpleNamespace(eos_token_id=[end, 49] if told == "generation" else None)
    model.config.eos_token_id = end
    ended = continuations_of(model, windows, ASKED, "toy").written
    over = {end, 49} if told == "generation" else {end}
    assert ended == [ids[: next((i for i, token in enumerate(ids) if token in over), 9)] for ids in whole]
    assert len(ended[0]) <= 4 < max(map(len, whole))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_join_to_the_whole(model, nine_windows, windows, monkeypatch, count):
    monkeypatch.setattr("drank.evaluation.continuations.TOGETHER", 2)
    (piece,) = wanted_continuations([nine_windows], {**SECTION, "continuations": ASKED}, {"code": "c"})
    parts = [piece.measure(model, Share(number, count)) for number in range(1, count + 1)]
    assert asdict(Continuations.joined(Continuations(**part) for part in parts)) == asdict(continuations_of(model, windows, ASKED, "toy"))
    assert count == 1 or max(len(part["prompts"]) for part in parts) < 5, "the work is divided"


def test_all_that_decides_is_in_the_key(nine_windows):
    def key(**changes):
        section = {**SECTION, "continuations": ASKED}
        asked = {name: value for name, value in changes.items() if name in ASKED}
        (one,) = wanted_continuations([nine_windows], {**section, **changes, "continuations": {**ASKED, **asked}}, {"code": "c"})
        return one.under({"device": "cpu"})

    assert key() == key(batch=4) and key()["kind"] == "continuations"
    for changed in ({"prompts": 4}, {"prompt": 5}, {"tokens": 8}, {"length": 12}, {"windows": 3}, {"bos": "none"}):
        assert key(**changed) != key(), changed


@pytest.mark.parametrize("section", [{}, {"continuations": {**ASKED, "prompts": 0}}, {"continuations": None}])
def test_nothing_is_written_where_nothing_is_asked_for(nine_windows, section):
    assert wanted_continuations([nine_windows], {**SECTION, **section}, {}) == []


def test_logits_that_are_no_numbers_are_told(windows):
    broken = llama(0)
    with torch.no_grad():
        broken.lm_head.weight[7] = float("nan")
    with pytest.raises(NonFiniteError, match=r"continuations of toy, after 0 tokens: the model's logits overflow in torch.float32"):
        continuations_of(broken, windows, ASKED, "toy")


@given(st.lists(st.integers(0, 2), max_size=30))
def test_repeated_runs_are_those_that_stand_before(ids):
    grams = [ids[place : place + 4] for place in range(len(ids) - 3)]
    assert repeated(ids) == (sum(gram in grams[:place] for place, gram in enumerate(grams)), len(grams))


def test_rows_and_texts_of_a_record(nine_windows, model, windows):
    found = Continuations([[1, 2], [3, 4], [5, 6]], [[7] * 10, [1, 2, 3, 4, 5, 1, 2, 3, 4], [8, 9]])
    (row,), texts = told_of(found, lambda ids: " ".join(map(str, ids)))
    assert row["metric"] == "repeated_4grams" and row["value"] == (6 + 1) / (7 + 6) and row["count"] == 13
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert texts[2] == {"prompt": "5 6", "text": "8 9", "tokens": 2, "repeated": 0} and texts[0]["repeated"] == 6
    assert told_of(Continuations([[1]], [[2, 3]]), str)[0] == [], "too short for a run of four"
    losses = {"toy": losses_of(model, nine_windows, 16)}
    rows, detail = summarised([nine_windows], losses, {"toy": found}, str)
    assert rows[-1] == {"dataset": "toy", **row} and len(detail["toy"]["continuations"]) == 3
    assert "continuations" not in measure(model, [nine_windows], 16)[1]["toy"]
