"""The embedded tasks: questions that can be answered only by reading, the same for the same documents."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from drank.corpora.documents import Document
from drank.testbed import questions, tasks
from drank.testbed.questions import ANSWER, CONTEXT, SECTIONS
from drank.testbed.tasks import ITEMS, LENGTH_RATIO, TASKS, build, write_task, yaml_for

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("ar", "el", "in", "os", "un") for c in ("ket", "mon", "dil", "vor")]


def words(key: str, count: int) -> list[str]:
    digest = hashlib.shake_256(key.encode()).digest(2 * count)
    return [WORDS[int.from_bytes(digest[i : i + 2]) % len(WORDS)] for i in range(0, 2 * count, 2)]


def sentence(key: str) -> str:
    return " ".join(words(key, 7)).capitalize() + "."


def document(number: int, split: str = "test") -> Document:
    key = f"{split}{number}"
    package = ("numpy", "scipy", "torch")[number % 3]
    first, second = (f"{word}{number}" for word in words(key, 2))
    heading = f"{package}.part.{words(key + 'f', 1)[0]}{number}({first}, {second})"
    text = f"""{sentence(key + "s")}

{sentence(key + "d")} {sentence(key + "e")}

Parameters
----------
{first} : int
    {sentence(key + "p")}
{second} : float, optional
    {sentence(key + "q")}

Returns
-------
{second} : int
    Some {number}.

Notes
-----
{sentence(key + "n")}

Examples
--------
>>> {first}
"""
    return Document(split, heading, f"{heading}\n\n{text.rstrip()}")


DOCUMENTS = [document(number) for number in range(400)]


@pytest.fixture(scope="module", params=list(TASKS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def items(name):
    return build(name, DOCUMENTS)


def test_full_size_and_form(name, items):
    assert len(items) == ITEMS
    for item in items:
        assert set(item) == {"context", "choices", "gold", "source"}
        assert len(set(item["choices"])) == 4
        assert len(item["context"]) <= CONTEXT
        assert item["context"].endswith(("\n", " "))  # the delimiter of the harness definition is empty
        assert not item["context"].startswith("\n")
    assert len({item["context"] for item in items}) == ITEMS  # one context with two answers would have no right one


def test_gold_follows_the_context_in_its_document(items):
    texts = {document.name: " ".join(document.text.split()) for document in DOCUMENTS}
    for item in items:
        context, answer = " ".join(item["context"].split()), item["choices"][item["gold"]]
        # what stands between a parameter's section heading and its entry is left out, so look for the end of the context
        assert f"{context[-12:]} {answer}" in texts[item["source"]]


def test_judging_choices_without_context_is_chance(items):
    """Every choice is right exactly once in its set, so any fixed preference among choices scores 25 %."""
    for start in range(0, ITEMS, 4):
        four = items[start : start + 4]
        assert {tuple(item["choices"]) for item in four} == {tuple(four[0]["choices"])}
        assert sorted(item["gold"] for item in four) == [0, 1, 2, 3]
        assert len({item["source"] for item in four}) == 4
        assert len({item["source"].split(".")[0] for item in four}) == 1
    for rule in (len, lambda text: -len(text), lambda text: text, hash):
        picks = [max(range(4), key=lambda i, item=item, rule=rule: (rule(item["choices"][i]), item["choices"][i])) for item in items]
        assert sum(pick == item["gold"] for pick, item in zip(picks, items, strict=True)) == ITEMS // 4


def test_choices_of_free_text_are_of_one_length_and_unlike(name, items):
    if TASKS[name].closed:
        assert {choice for item in items for choice in item["choices"]} <= SECTIONS
        return
    said = Counter(choice for item in items for choice in item["choices"])
    assert set(said.values()) == {4}  # only in its own set
    for item in items:
        lengths = [len(choice) for choice in item["choices"]]
        assert max(lengths) <= LENGTH_RATIO * min(lengths)
        assert all(length in ANSWER for length in lengths)
        assert item["choices"][item["gold"]] not in item["context"]


def test_depends_on_the_test_documents_alone(name, items):
    others = [document(number, split) for number in range(60) for split in ("train", "validation")]
    assert build(name, [*others, *reversed(DOCUMENTS)]) == items
    assert build(name, [document(number) for number in range(100, 500)]) != items


def question(answer: str, context: str = "numpy.part.open_file(path)\n\n", subject: str = "open_file") -> tasks.Question:
    return tasks.Question("numpy.part.open_file(path)", subject, context, answer)


def test_answers_that_the_context_gives_away_are_not_asked():
    assert tasks._given_away(question("Calls open_file on every path there is."))
    assert tasks._given_away(question("Open file, path.", context="Open file `path`.\n\n"))
    assert not tasks._given_away(question("Opens whatever lies at this path."))


def test_one_subject_or_like_wording_keeps_questions_apart():
    one = question("Return the number of rows in the table.")
    other = one._replace(document="numpy.b", subject="count", answer="Draws random samples from a distribution.")
    assert not tasks._alike(one, other)
    assert tasks._alike(one, other._replace(subject="open_file"))
    assert tasks._alike(one, other._replace(document=one.document))
    assert tasks._alike(one, other._replace(document="class scipy.b"))
    assert tasks._alike(one, other._replace(answer="Return the number of columns in the table."))


@pytest.mark.parametrize(
    ("document", "package"),
    [("torch.nn.f(a: b)", "torch"), ("class sympy.X", "sympy"), ("module numpy", "numpy"), ("os.path.join(a, b)", "python")],
)
def test_package(document, package):
    assert question("").package == "numpy"
    assert question("")._replace(document=document).package == package


def test_google_style_parameters_are_found():
    entries = "    a_b (int): The first\n        of two. More.\n    c: The second of two."
    text = f"torch.f(a_b, c)\n\nDoes it.\n\nArgs:\n{entries}\n\nReturns:\n    d: No."
    found = list(TASKS["docs-parameter"].questions(Document("test", "torch.f(a_b, c)", text)))
    assert [(q.subject, q.answer) for q in found] == [("a_b", "The first of two."), ("c", "The second of two.")]
    assert found[0].context == "torch.f(a_b, c)\n\nArgs:\n    a_b (int): "


def test_code_and_lists_are_not_prose():
    for text in (">>> f(1)\n1", "- one\n- two", "    indented", "Usage::", "a | b\n--- | ---", "Args:\n    x"):
        assert questions._prose(text) == []
        assert questions._prose(f"Fine prose. More, e.g. This.\n\n{text}") == [["Fine prose.", "More, e.g. This."]]


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("aZ_ .:\n-=>()*`"), max_size=300))
def test_any_text_can_be_asked_about(text):
    sample = Document("test", "numpy.f(x)", f"numpy.f(x)\n\n{text}")
    for task in TASKS.values():
        for found in tasks._pool(task, [sample]):
            assert found.answer.split()[0] in sample.text
            assert len(found.context) <= CONTEXT


def test_unknown_name_is_refused_with_near_names():
    with pytest.raises(ValueError, match=r"'docs-sumary' is not an embedded task .did you mean docs-summary"):
        build("docs-sumary", DOCUMENTS)


def test_too_little_text_is_refused(name):
    with pytest.raises(ValueError, match=rf"task {name}: the test documents give only \d+ items, fewer than 200"):
        build(name, DOCUMENTS[:40])


def test_files_hold_the_items_and_the_definition(name, items, tmp_path):
    path = tmp_path / "tasks" / f"{name}.jsonl"
    assert write_task(name, DOCUMENTS, path) == ITEMS
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == items
    definition = yaml.safe_load(path.with_suffix(".yaml").read_text("utf-8"))
    assert definition == yaml_for(name, path)
    assert definition["dataset_kwargs"] == {"data_files": {"test": str(path)}}
    assert definition["metric_list"][0]["metric"] == TASKS[name].metrics[0]
    assert sorted(file.name for file in path.parent.iterdir()) == [f"{name}.jsonl", f"{name}.yaml"]
