"""A Gemma 3 reads BOS at the start of whatever it reads: in calibration, gradients, searches, fine-tuning and every measurement."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import processors
from transformers import Cache

import drank
from drank.compression.making import making_of
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.reporting.report.beginnings import beginnings, unseen
from tests.workflow.runs import WORDS

FEW = {"windows": 4, "length": 16, "batch": 2, "threads": 1}
TIMED = {"batch": 2, "prompt": 5, "generate": 2, "repeats": 1}


@pytest.fixture(scope="module")
def bos(tiny_tokenizer):
    return tiny_tokenizer.bos_token_id


@pytest.fixture(scope="module")
def gemma(tiny_model, tiny_tokenizer, bos, tmp_path_factory):
    """A random Gemma 3 of a few thousand parameters, whose tokenizer puts BOS before a text as those of Gemma do."""
    tokenizer, folder = copy.deepcopy(tiny_tokenizer), tmp_path_factory.mktemp("gemma") / "tiny"
    post = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    tokenizer.backend_tokenizer.post_processor = post
    save(tiny_model("gemma3_text", tie_word_embeddings=True), tokenizer, None, folder)
    return folder


@pytest.fixture(scope="module")
def text():
    draw = random.Random(1)
    return " ".join(draw.choice(WORDS) for _ in range(400))


@pytest.fixture
def task(tmp_path):
    """A task of which one prompt is longer than the model's context of 128 tokens."""
    draw = random.Random(2)
    items = [{"context": " ".join(draw.choices(WORDS, k=n)), "choices": draw.sample(WORDS, 3), "gold": 0} for n in (4, 5, 60)]
    (tmp_path / "task.jsonl").write_text("\n".join(map(json.dumps, items)))
    told = {"task": "words", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "task.jsonl")}}}
    told |= {"test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{context}}", "doc_to_choice": "{{choices}}"}
    told |= {"doc_to_target": "{{gold}}", "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(told | {"metadata": {"version": 1.0}}))
    return str(tmp_path / "words.yaml")


@pytest.fixture
def read(monkeypatch):
    """The ids (rows, tokens) of all that models embed, but for single tokens and answers, which go on after others."""
    found: list[torch.Tensor] = []
    continued: list[bool] = []
    plain, select = torch.nn.functional.embedding, Cache.batch_select_indices

    def embedding(ids, weight, *arguments, **options):
        if ids.shape[-1] > 1 and not continued:
            found.append(ids.detach().cpu())
        continued.clear()
        return plain(ids, weight, *arguments, **options)

    def selected(cache, rows):
        continued.append(True)
        return select(cache, rows)

    monkeypatch.setattr(torch.nn.functional, "embedding", embedding)
    monkeypatch.setattr(Cache, "batch_select_indices", selected)
    return found


METHODS = {
    "moments, gradients, refit and corrections": ("l-rank", {}, {"calibration", "refit", "corrections"}),
    "a choice on the text of searches": ("swift-svd", {"search": {"windows": 2}}, {"calibration", "search"}),
    "fine-tuning": ("svd-llm", {"finetune_from": 0.0, "finetune": {"epochs": 1}}, {"calibration", "finetune"}),
}


@pytest.mark.parametrize("convention", ["auto", "none"])
@pytest.mark.parametrize("method, options, steps", METHODS.values(), ids=METHODS)
def test_all_that_compressing_reads(gemma, text, bos, read, tmp_path, method, options, steps, convention):
    drank.compress(gemma, method, 0.4, text, tmp_path / "out", bos=convention, **options, **FEW)
    assert read and all(ids.shape[-1] == 16 for ids in read), "a window with BOS is no longer than one without"
    for ids in read:
        assert ((ids == bos).sum(1) == (convention == "auto")).all() and (convention == "none" or (ids[:, 0] == bos).all())
    made = making_of(tmp_path / "out")
    told = {"calibration": made["calibration"], "search": made["calibration"].get("search"), **made["texts"]}
    assert {told[step]["bos"] for step in steps} == {"window" if convention == "auto" else "none"}
    assert ("bos_token" in made["calibration"]) == (convention == "auto")


@pytest.mark.parametrize("convention", ["auto", "window", "none"])
def test_all_that_measuring_reads(gemma, text, task, bos, read, convention):
    records = drank.evaluate(gemma, text, task, TIMED, length=16, threads=1, bos=convention)
    assert len(read) > 8 and {ids.shape[-1] for ids in read} >= {16, TIMED["prompt"]}
    if convention == "none":
        assert not any((ids == bos).any() for ids in read if ids.shape[-1] != TIMED["prompt"]), "but for one that was drawn at random"
    else:
        assert all((ids[:, 0] == bos).all() for ids in read), "a prompt that was cut too"
    resolved = "none" if convention == "none" else "window"
    assert {record.provenance["settings"]["bos"] for record in records.values()} == {resolved}
    assert all(record.provenance["needs_bos"] for record in records.values())
    found = list(records.values())
    assert len(beginnings(found)) == 1 and bool(unseen(found)) == (convention == "none")
    assert {"window": "before every window", "none": "no BOS stands anywhere"}[resolved] in beginnings(found)[0]


@pytest.mark.parametrize("convention", ["auto", "none"])
def test_a_task_for_which_it_writes(gemma, task, bos, read, tmp_path, convention):
    """Prompts short and cut, one at a time, as padding would stand before BOS."""
    written = yaml.safe_load(Path(task).read_text()) | {"output_type": "generate_until", "doc_to_target": "{{choices[gold]}}"}
    written |= {"generation_kwargs": {"until": ["\n"], "max_gen_toks": 3}}
    written |= {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]}
    del written["doc_to_choice"]
    (tmp_path / "written.yaml").write_text(yaml.safe_dump(written))
    (record,) = drank.evaluate(gemma, tasks=str(tmp_path / "written.yaml"), batch=1, threads=1, bos=convention).values()
    assert max(ids.shape[-1] for ids in read) == 128 - 3, "one fills what the context leaves"
    for ids in read:
        assert ((ids == bos).sum(1) == (convention == "auto")).all() and (convention == "none" or (ids[:, 0] == bos).all())
    assert record.provenance["settings"]["bos"] == ("none" if convention == "none" else "window")


@pytest.mark.parametrize("convention", ["window", "none"])
def test_prompts_that_it_goes_on_writing(gemma, bos, convention):
    """One that is cut to make room for what is written keeps its BOS."""
    from drank.evaluation.zeroshot.language_model import LanguageModel

    asked = LanguageModel(load_model(gemma, "float32"), load_tokenizer(gemma), 2, bos=convention)
    ids, mask = asked.tok_batch_encode(["a matrix", "ab"], left_truncate_len=4)
    rows = [row[seen.bool()].tolist() for row, seen in zip(ids, mask, strict=True)]
    text = [
        load_tokenizer(gemma)(end, add_special_tokens=False).input_ids
        for end in (("rix", "ab") if convention == "window" else ("trix", "ab"))
    ]
    assert rows == ([[bos, *end] for end in text] if convention == "window" else text)


def test_windows_with_bos_predict_every_token_of_the_text_and_none_of_them_bos(gemma, text):
    (record,) = drank.evaluate(gemma, text, length=16, threads=1).values()
    (tokens,) = {sum(found["window_tokens"]) for found in record.detail.values()}
    assert tokens == len(text), "a byte is a token"


def test_the_text_alone_is_what_it_was(gemma, text, bos, read):
    drank.evaluate(gemma, text, length=16, threads=1, bos="text", continuations=0)  # which begin with windows read before
    rows = dict.fromkeys(tuple(row) for ids in read for row in ids.tolist())  # a window is embedded for its logits again
    first, *others = [token for row in rows for token in row]
    assert first == bos and bos not in others and len(others) in (len(text) - 1, len(text))
