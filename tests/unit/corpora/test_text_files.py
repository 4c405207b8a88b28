"""Files of text: one text comes the same out of every format, and what is no text is refused by name."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.corpora import read
from drank.corpora.text_files import problems_with, text_rows

TEXT = 'ein Satz, mit "Ümlaut"\tund Tab\n\nthe end\n'
ROWS = ["first", TEXT]


def table(rows, delimiter=",", **options):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, **options)
    writer.writerows([["n", "body"], *enumerate(rows)])
    return out.getvalue().encode()


def parquet(rows):
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"body": rows, "n": list(range(len(rows)))}), sink)
    return sink.getvalue().to_pybytes()


def json_lines(rows, end="\n"):
    return "".join(json.dumps({"body": row}, ensure_ascii=False) + end for row in rows).encode()


def zstd(data):
    return pyarrow.compress(data, codec="zstd", asbytes=True)


BOM = b"\xef\xbb\xbf"
LINES, ARRAY = json_lines(ROWS), json.dumps([{"body": row} for row in ROWS], indent=1).encode()
SAME = {
    "a.jsonl": LINES,
    "a.JSONL": LINES,
    "a.ndjson": LINES,
    "lines.json": LINES,
    "array.json": ARRAY,
    "array.Json": BOM + b"\n " + ARRAY,
    "bom.jsonl": BOM + LINES,
    "blank.jsonl": b"\n" + LINES.replace(b"\n", b"\n  \n") + b"\n\n",
    "crlf.jsonl": json_lines(ROWS, "\r\n"),
    "open.jsonl": LINES.rstrip(b"\n"),
    "a.csv": table(ROWS),
    "bom.CSV": BOM + table(ROWS),
    "unix.csv": table(ROWS, lineterminator="\n", quoting=csv.QUOTE_ALL),
    "a.tsv": table(ROWS, "\t"),
    "a.parquet": parquet(ROWS),
    "a.PARQUET": parquet(ROWS),
    "a.parquet.gz": gzip.compress(parquet(ROWS)),
    "a.jsonl.gz": gzip.compress(LINES),
    "two.jsonl.GZ": gzip.compress(json_lines(ROWS[:1])) + gzip.compress(json_lines(ROWS[1:])),
    "a.json.gz": gzip.compress(BOM + ARRAY),
    "a.csv.bz2": bz2.compress(table(ROWS)),
    "a.ndjson.zst": zstd(LINES),
}


@pytest.mark.parametrize("name", SAME)
def test_a_text_is_the_same_in_every_format(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(SAME[name])
    assert [text for _, text in text_rows(path, "body")] == ROWS
    assert list(problems_with(path, "body")) == []


PLAIN = {
    "a.txt": TEXT.encode(),
    "none": TEXT.encode(),
    "a.TXT": BOM + TEXT.encode(),
    "a.raw": TEXT.replace("\n", "\r\n").encode(),
    "a.md": TEXT.replace("\n", "\r").encode(),
    "a.txt.gz": gzip.compress(BOM + TEXT.encode()),
    "a.zst": zstd(TEXT.encode()),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_text_is_one_document_whose_lines_end_in_line_feeds(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(PLAIN[name])
    assert [text for _, text in text_rows(path, "text")] == [TEXT]


def test_line_ends_within_a_row_stay_as_they_are(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(json_lines(["one\r\ntwo\u2028three"]))
    (tmp_path / "a.csv").write_bytes(table(["one\r\ntwo\u2028three"]))
    for name in ("a.jsonl", "a.csv"):
        assert [text for _, text in text_rows(tmp_path / name, "body")] == ["one\r\ntwo\u2028three"]


def test_long_fields_are_whole(tmp_path):
    (tmp_path / "a.csv").write_bytes(table(["word " * 100_000]))
    assert [len(text) for _, text in text_rows(tmp_path / "a.csv", "body")] == [500_000]


BAD = {
    "utf16.txt": (TEXT.encode("utf-16"), r"utf16\.txt is UTF-16 or UTF-32, by its byte-order mark; convert it"),
    "utf16.jsonl": (LINES.decode().encode("utf-16"), r"utf16\.jsonl is UTF-16"),
    "nul.txt": ("text".encode("utf-16-le"), r"nul\.txt is no text in UTF-8: byte 1 of it is zero, as in UTF-16"),
    "latin.txt": ("Grüße".encode("latin-1"), r"latin\.txt is no text in UTF-8 \(byte 2 of it is 0xfc\)"),
    "latin.csv": (BOM + "n,body\n1,Grüße\n".encode("latin-1"), r"latin\.csv is no text in UTF-8 \(byte 14 of it is 0xfc\)"),
    "latin.jsonl": ('{"body": "Grüße"}'.encode("latin-1"), r"latin\.jsonl is no text in UTF-8 \(byte 12"),
    "cut.txt.gz": (gzip.compress(TEXT.encode() * 90)[:-9], r"cut\.txt\.gz cannot be unpacked: it is damaged or cut off"),
    "cut.jsonl.zst": (zstd(LINES)[:-5], r"cut\.jsonl\.zst cannot be unpacked"),
    "not.json.gz": (LINES, r"not\.json\.gz cannot be unpacked"),
    "flip.txt.gz": (gzip.compress(b"text")[:-8] + b"12345678", r"flip\.txt\.gz cannot be unpacked"),
    "cut.parquet": (parquet(ROWS)[:-9], r"cut\.parquet is no Parquet file, or a damaged one"),
    "cut.json": (ARRAY[:-3], r"cut\.json begins as a JSON array and is none"),
    "deep.json": (b"[" * 100_000, r"deep\.json begins as a JSON array and is none"),
    "field.json": (b'[{"body": "a"}, {"text": "b"}]', r"field\.json, entry 2: no JSON object with a field 'body'.*set `field`"),
    "strings.json": (b'["a", "b"]', r"strings\.json, entry 1: no JSON object with a field 'body', but 'a'; set `field`"),
    "twice.json": (json.dumps([json.dumps({"body": "a"})]).encode(), r"twice\.json, entry 1: no JSON object with a field 'body', but '"),
    "line.jsonl": (b'{"body": "a"}\n\n{"body": ', r"line\.jsonl, line 3: no valid JSON"),
    "half.jsonl": (b'{"body": "a\\ud800"}', r"half\.jsonl, line 1: character 1 is half a surrogate pair"),
    "other.csv": (b"n;body\n1;a\n", r"other\.csv: no column 'body', only n;body; set `field` of the corpus"),
    "wide.csv": (b"n,body\n1,a, and more\n", r"wide\.csv, line 2: more fields than the 2 of the first line; quote the text"),
    "short.csv": (b"n,body\n1,a\n2\n", r"short\.csv, line 3: field 'body' is empty \(null\), and every row is a text; remove the row"),
    "twice.csv": (b"body,body\n1,a\n", r"twice\.csv: 2 columns 'body'; set `field` of the corpus"),
    "quote.csv": (b'n,body\n1,"a" b\n', r"quote\.csv, line 2: .*; correct the quotes there"),
    "a.xlsx": (b"PK\x03\x04", r"a\.xlsx: drank reads no \.xlsx files as text; convert it to UTF-8 text, \.jsonl"),
    "a.tar.gz": (gzip.compress(b"text"), r"a\.tar\.gz: drank reads no \.tar files"),
    "a.ARROW": (b"ARROW1", r"a\.ARROW: drank reads no \.arrow files"),
    "a.zip": (b"PK", r"a\.zip: drank reads no \.zip files"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_text_is_named(tmp_path, name):
    data, told = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=told):
        read({"files": {"test": str(tmp_path / name)}, "field": "body"})


def test_files_that_cannot_be_read_are_told_without_reading_them(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "pointer.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    (tmp_path / "plain.txt").write_text(TEXT)
    os.mkfifo(tmp_path / "pipe")

    def told(name, field=None):
        return "; ".join(problems_with(tmp_path / name, field))

    assert "folder is a folder; name the files in it" in told("folder")
    assert told("none.txt").endswith("none.txt does not exist")
    assert "empty.txt is empty" in told("empty.txt")
    assert "pipe is no regular file" in told("pipe")
    assert "pointer.parquet is a Git LFS pointer in place of the file: run `git lfs pull`" in told("pointer.parquet")
    assert "cannot be read (File name too long)" in told("x" * 300)
    assert told("plain.txt") == ""
    (tmp_path / "utf16.csv").write_bytes(TEXT.encode("utf-16"))
    assert "utf16.csv is UTF-16 or UTF-32, by its byte-order mark; convert it" in told("utf16.csv")
    assert "plain.txt is plain text, which has no field 'body'; leave `field` out" in told("plain.txt", "body")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "plain.txt may not be read by this user" in told("plain.txt")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=5), st.booleans())
def test_any_text_comes_through_every_format(tmp_path_factory, rows, marked):
    folder = tmp_path_factory.mktemp("texts")
    files = {
        "a.jsonl": json_lines(rows),
        "a.json": json.dumps([{"body": row} for row in rows]).encode(),
        "a.csv": table(rows, quoting=csv.QUOTE_ALL),
        "a.tsv": table(rows, "\t", quoting=csv.QUOTE_ALL),
    }
    for name, data in files.items():
        (folder / name).write_bytes(BOM * marked + data)
        assert [text for _, text in text_rows(folder / name, "body")] == rows
    (folder / "a.parquet").write_bytes(parquet(rows))
    assert [text for _, text in text_rows(folder / "a.parquet", "body")] == rows
