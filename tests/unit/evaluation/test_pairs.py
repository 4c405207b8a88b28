"""Prompts and answers as token ids: no answer is lost, no special token stands between the two, and what cannot be scored is named."""

from __future__ import annotations

import json
import logging

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from drank.evaluation.zeroshot.pairs import pair_of, shortened
from drank.testbed.tasks import yaml_for
from tests.unit.evaluation.measuring import evaluate_tasks

MERGES = {"None": "Ü", "\n\n": "Ä", " t": "Ö"}
"""A toy alphabet where these strings are one token."""


def toy(text: str) -> list[int]:
    for merged, letter in MERGES.items():
        text = text.replace(merged, letter)
    return [ord(letter) for letter in text]


def spelled(ids: list[int]) -> str:
    text = "".join(map(chr, ids))
    for merged, letter in MERGES.items():
        text = text.replace(letter, merged)
    return text


def opened(text: str) -> list[int]:
    return [0, *toy(text)]


@given(st.text("None \nt.", max_size=8), st.text("None \nt.", min_size=1, max_size=8))
def test_prompt_and_answer_spell_what_the_task_says(prompt, answer):
    before, after = pair_of(prompt, answer, opened, toy, prefix=0)
    assert before[0] == 0 and spelled(before[1:] + after) == prompt + answer
    assert before[1:] == toy(prompt.rstrip()) and after


def test_a_token_over_the_border_leaves_the_answer_whole():
    assert pair_of("is Non", "e", toy, toy, None) == (toy("is Non"), toy("e")), "the harness finds no answer here"
    assert pair_of("is Non", "e of it", toy, toy, None) == (toy("is Non"), toy("e of it")), "and loses its beginning here"
    assert pair_of("is", " None", toy, toy, None) == (toy("is"), toy(" None"))


def test_an_answer_by_itself_does_not_begin_a_text():
    def llama(text: str) -> list[int]:
        return toy(f"_{text}") if text else []

    assert pair_of("is Non", "e", llama, llama, None) == (toy("_is Non"), toy("e"))


def test_blank_prompts_are_read_as_the_token_that_begins_a_text():
    assert pair_of("", "a", opened, toy, 7) == pair_of("", "a", toy, toy, 7) == ([7], toy("a"))
    assert pair_of(" \n", "a", toy, toy, 7) == ([7], toy(" \na"))
    assert pair_of("", "\x07a", toy, toy, 7) == ([7], toy("a")), "an answer that begins with it already"
    assert pair_of("", "a", toy, toy, None) == ([], toy("a"))


@pytest.fixture
def ask(tmp_path, model, tokenizer):
    """Evaluate multiple choice items, (context, choices, gold), with the tokenizer of the fixture or another; `change` alters the task."""

    def asked(rows, tokenizer=tokenizer, **change):
        path, items = tmp_path / "own.yaml", tmp_path / "items.jsonl"
        keys = ("context", "choices", "gold")
        items.write_text("".join(json.dumps(dict(zip(keys, row, strict=True)) | {"source": f"s{n}"}) + "\n" for n, row in enumerate(rows)))
        path.write_text(yaml.safe_dump(yaml_for("docs-summary", items) | {"task": "own"} | change))
        return evaluate_tasks(model, tokenizer, {"own": {"yaml": str(path)}}, batch=4)

    return asked


def ended(tokenizer: PreTrainedTokenizerFast, template: str) -> PreTrainedTokenizerFast:
    """The same tokenizer with a post-processor."""
    raw = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    raw.post_processor = processors.TemplateProcessing(single=template, pair=f"{template} $B:1", special_tokens=[("<end>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<end>", eos_token="<end>", pad_token="<end>")


ROWS = [(f"Number {i}: what is {i} times {j}?", ["one", "two", "some", f"{i * j}"], 3) for i in range(4) for j in range(6)]


def test_a_tokenizer_that_ends_every_text_answers_as_one_that_does_not(ask, tokenizer):
    plain = ask(ROWS)
    assert ask(ROWS, ended(tokenizer, "$A <end>")) == plain
    opened_alone = ask(ROWS, ended(tokenizer, "<end> $A"))
    assert ask(ROWS, ended(tokenizer, "<end> $A <end>")) == opened_alone


def test_what_a_model_writes_follows_its_prompt_directly(ask, tokenizer, model):
    read = []
    model.register_forward_pre_hook(lambda _, args, kwargs: read.append(kwargs["input_ids"].tolist()), with_kwargs=True)
    change = {
        "output_type": "generate_until",
        "doc_to_text": "{{context}}",
        "doc_to_target": "{{choices[gold]}}",
        "doc_to_choice": None,
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    ask(ROWS[:4], **change)
    plain, read[:] = list(read), []
    ask(ROWS[:4], ended(tokenizer, "$A <end>"), **change)
    assert read == plain and all(0 not in row for row in read[0])


def test_blank_answers_are_refused_and_named(ask):
    with pytest.raises(ValueError, match=r"task own, item 1: the answer ' ?' after the prompt 'Number 0.*correct the item"):
        ask([ROWS[0], (ROWS[1][0], ["one", ""], 0), ROWS[2]])


def test_equal_answers_are_told(ask, caplog):
    with caplog.at_level(logging.WARNING):
        ask([ROWS[0], (ROWS[1][0], ["one", "two", "one"], 2), ROWS[2]])
    assert "own: 1 items have two equal answers, of which the first counts" in caplog.messages


def test_a_token_without_an_embedding_is_named(ask, tokenizer):
    more = ended(tokenizer, "$A")
    rows = len(more)
    more.add_tokens(["times"])
    with pytest.raises(ValueError, match=rf"task own, item 0: .*: token 'times' has the number {rows}, and the model's embedding"):
        ask(ROWS[:3], more)


def test_a_padding_token_without_an_embedding_is_not_read(ask, tokenizer):
    padded = ended(tokenizer, "$A")
    padded.add_special_tokens({"pad_token": "<pad>"})
    assert ask(ROWS, padded) == ask(ROWS)


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(0, 12), st.booleans())
def test_what_is_shortened_keeps_its_opening_and_its_end(ids, most, begun):
    ids, opening = [0, *ids] if begun else ids, [0]
    found = shortened(ids, most, opening)
    assert len(found) == min(len(ids), most)
    kept = 1 if begun and most else 0
    assert found[:kept] == opening[:kept] and found[kept:] == ids[len(ids) - len(found) + kept :]
    assert shortened(ids, most, []) == ids[max(0, len(ids) - most) :], "without one, the end alone"
