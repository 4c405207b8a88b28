"""Files of keys and values: read as they were written, and refused with their lines where they cannot be, or a key stands twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drank.runtime.mappings import MappingError, given_twice, read_mapping


def refusal(path: Path, data: str | bytes) -> list[str]:
    """The lines of the error that a file with this content gives."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(MappingError) as error:
        read_mapping(path)
    assert all(str(path) in line and "\n" not in line for line in error.value.problems)
    return error.value.problems


def test_values_are_their_text_and_keys_what_stands_there(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(
        b"\xef\xbb\xbf2: [1e-4, 010, 1_000]\non: {no: 'yes', null: ~}\n2024-01-01: .inf\n1.5: \nt: &t {x: 1, y: 2}\nu: {<<: *t, y: 3}\n"
    )
    assert read_mapping(file) == {
        "2": ["1e-4", "010", "1_000"],
        "on": {"no": "yes", "null": "~"},
        "2024-01-01": ".inf",
        "1.5": None,
        "t": {"x": "1", "y": "2"},
        "u": {"x": "1", "y": "3"},
    }


def test_of_mappings_taken_in_the_first_counts(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("a: &a {k: 1}\nb: &b {k: 2, l: 3}\nc: {<<: [*a, *b]}\n")
    assert read_mapping(file)["c"] == yaml.safe_load("{k: '1', l: '3'}")


def test_json_may_be_indented_by_tabs_and_keeps_its_types(tmp_path):
    (tmp_path / "config.json").write_text('{\n\t"a": 0.5,\n\t"b": [null, true, "\\ud83d\\ude00"]\n}')
    assert read_mapping(tmp_path / "config.json") == {"a": 0.5, "b": [None, True, "\U0001f600"]}


@pytest.mark.parametrize("text", ["a: 1\nb:\n  c: 1\n  d: 2\n  'c': 3\na: 2\n", '{"a": 1,\n"b": {\n"c": 1,\n\t"d": 2, \n"c": 3},\n"a": 2}'])
def test_a_key_given_twice_at_any_depth_is_named_with_both_lines(tmp_path, text):
    outer, inner = sorted(refusal(tmp_path / "config.yaml", text))
    assert "lines 1 and 6: key 'a' is given twice" in outer
    assert "lines 3 and 5: key 'c' is given twice" in inner


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n", "no keys at its top level"),
        ("[1]", "no keys at its top level"),
        ("a:\n\tb: 1", "line 2: no valid YAML: .*indent by spaces"),
        ("a: 1\nb: [", "line 2: no valid YAML"),
        ("a: b: c", "line 1: no valid YAML: mapping values are not allowed .* need quotes"),
        ("a: 1\n---\nb: 2", "line 2: no valid YAML: .*another document"),
        ("a: \x00", "no valid YAML: unacceptable character"),
        (b"a: 1\nb: \xff", "line 2: byte 0xff is no UTF-8"),
        ("a: 1\nb: !env X", "line 2: the tag !env means nothing here"),
        ("a: !!python/name:os.system ", "line 1: the tag !!python/name:os.system means nothing"),
        ("a: &x\n  b: *x", "an alias leads back"),
        ("a: {<<: 3}", "`<<` takes in mappings alone"),
        ("? [1]\n: 2", "a list or mapping stands where a key should"),
        ("[" * 5000, "no valid YAML"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, data, message):
    (line,) = refusal(tmp_path / "config.yaml", data)
    assert re.search(message, line), line


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_a_file_holds_it_is_a_mapping_or_refused(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    try:
        assert isinstance(read_mapping(file), dict)
    except MappingError as error:
        assert all(str(file) in line for line in error.problems)


def test_keys_of_a_file_for_others_are_looked_at_whatever_its_tags(tmp_path):
    (tmp_path / "task.yaml").write_text("task: a\ndoc_to_text: !function f.g\ntask: b\n")
    (line,) = given_twice(tmp_path / "task.yaml")
    assert "lines 1 and 3: key 'task'" in line
