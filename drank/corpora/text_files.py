"""Files of text on this machine: known by their suffix, in any case, and read to the last byte or refused by name.

Plain text is one document, and its line ends become line feeds; tables and JSON give a document for each row, with the text in one
field, as it stands there. Bytes are UTF-8; a byte-order mark is no text. A second suffix says how a file is packed.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from drank.runtime.stand_ins import unreachable

Rows = Iterator[tuple[str, Any]]
"""Where each document stands, for messages, and its text, or what stands there instead."""

PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Suffixes of packed files, and what packed them."""

UNREAD = frozenset(
    f".{suffix}"
    for suffix in (
        *("7z", "br", "lz4", "lzma", "rar", "tar", "tbz2", "tgz", "txz", "xz", "z", "zip", "zstd"),
        *("arrow", "avro", "db", "feather", "h5", "hdf5", "ipc", "mdb", "msgpack", "orc", "pq", "sqlite", "tfrecord"),
        *("bin", "gguf", "npy", "npz", "pickle", "pkl", "pt", "pth", "safetensors"),
        *("doc", "docx", "epub", "odt", "ods", "pdf", "rtf", "xls", "xlsx"),
    )
)
"""Suffixes of files that are no text and that drank does not read."""

REMEDY = "convert it to UTF-8 text, .jsonl, .csv, .tsv or .parquet, if you like packed as .gz, .bz2 or .zst"


def problems_with(path: str | Path, field: str | None = None) -> Iterator[str]:
    """What keeps a file from being read as text, as far as its name and its first bytes tell; `field` is the one asked for, if any."""
    path = Path(path)
    reader, suffix = _kind(path)
    if wrong := unreachable(path):
        yield wrong
    elif suffix in UNREAD:
        yield f"{path}: drank reads no {suffix} files as text; {REMEDY}"
    elif reader is not _parquet and path.suffix.lower() not in PACKED and (wrong := _of_other_bytes(path, _first_bytes(path))):
        yield wrong
    elif reader is None and field is not None:
        yield f"{path} is plain text, which has no field {field!r}; leave `field` out, or give the file its format's suffix, such as .jsonl"


def text_rows(path: str | Path, field: str) -> Rows:
    """The documents of a file in order, each with its place.

    Raises ValueError, naming the file and the place in it, for what is no text in UTF-8, damaged, or has no such field, and OSError for a
    file that is not there.
    """
    path = Path(path)
    reader, suffix = _kind(path)
    if suffix in UNREAD:
        raise ValueError(*problems_with(path))
    if reader is None:
        return iter([(str(path), io.StringIO(_text(path), newline=None).read())])
    return reader(path, field)


def _kind(path: Path) -> tuple[Callable[[Path, str], Rows] | None, str]:
    """What reads the rows of a file, None for plain text and for what drank does not read, and the suffix that tells."""
    suffixes = [suffix.lower() for suffix in path.suffixes] or [""]
    suffix = ["", *suffixes][-2] if suffixes[-1] in PACKED else suffixes[-1]
    return FORMATS.get(suffix), suffix


def _bytes(path: Path) -> bytes:
    """What a file holds, unpacked."""
    packed = PACKED.get(path.suffix.lower())
    if packed is None:
        return path.read_bytes()
    import pyarrow

    path.stat()  # a file that is not there is told as such
    try:
        with pyarrow.input_stream(str(path), compression=packed) as stream:
            return bytes(stream.read())
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} cannot be unpacked: it is damaged or cut off ({error}); copy it again") from error


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _of_other_bytes(path: Path, data: bytes) -> str | None:
    """What is wrong with text whose first bytes say that it is in another encoding."""
    if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return None
    return f"{path} is UTF-16 or UTF-32, by its byte-order mark; convert it, as by `iconv -f UTF-16 -t UTF-8`"


def _check_column(path: Path, names: Sequence[str], field: str) -> None:
    if names.count(field) != 1:
        there = f"{names.count(field)} columns {field!r}" if field in names else f"no column {field!r}, only {', '.join(names)}"
        raise ValueError(f"{path}: {there}; set `field` of the corpus (in a call FILE,field=NAME)")


def _text(path: Path) -> str:
    data = _bytes(path)
    if wrong := _of_other_bytes(path, data):
        raise ValueError(wrong)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = error.start + len(data) - len(error.object)
        raise ValueError(f"{path} is no text in UTF-8 (byte {place} of it is {data[place]:#x}); convert it") from None
    if "\0" in text:
        raise ValueError(f"{path} is no text in UTF-8: byte {data.index(0)} of it is zero, as in UTF-16 and in binary files; {REMEDY}")
    return text


def _json(path: Path, field: str) -> Rows:
    """The rows of JSON lines, blank ones left out, or of one array."""
    text = _text(path)
    if re.match(r"\s*\[", text):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} begins as a JSON array and is none ({error}); correct it") from error
        yield from ((f"{path}, entry {number}", _field(entry, f"{path}, entry {number}", field)) for number, entry in enumerate(entries, 1))
        return
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _field(_parsed(line, where), where, field)


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: no valid JSON ({error}); write one object a line, or all of them as one array") from error


def _field(row: Any, where: str, field: str) -> Any:
    """The text of a row as JSON gives it: a string in an array is no object, also where it would read as one."""
    if not isinstance(row, dict) or field not in row:
        there = f"only {', '.join(row) or 'an empty object'}" if isinstance(row, dict) else f"but {row!r:.60}"
        raise ValueError(f"{where}: no JSON object with a field {field!r}, {there}; set `field` of the corpus (in a call FILE,field=NAME)")
    return row[field]


def _table(path: Path, field: str, delimiter: str) -> Rows:
    csv.field_size_limit(sys.maxsize)
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        names = list(rows.fieldnames or ())
        _check_column(path, names, field)
        for row in rows:
            if None in row:
                raise ValueError(f"{path}, line {rows.line_num}: more fields than the {len(names)} of the first line; quote the text")
            yield f"{path}, line {rows.line_num}", row[field]
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.reader.line_num}: {error}; correct the quotes there") from error


def _parquet(path: Path, field: str) -> Rows:
    import pyarrow.parquet

    path.stat()
    packed = path.suffix.lower() in PACKED
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(_bytes(path)) if packed else path)
        _check_column(path, file.schema_arrow.names, field)
        columns = (batch.column(0).to_pylist() for batch in file.iter_batches(columns=[field]))
        yield from ((f"{path}, row {number}", value) for number, value in enumerate((value for column in columns for value in column), 1))
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} is no Parquet file, or a damaged one ({error}); copy it again") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} holds a text that is no UTF-8 in column {field!r} ({error}); convert it") from None


FORMATS: dict[str, Callable[[Path, str], Rows]] = {
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".csv": partial(_table, delimiter=","),
    ".tsv": partial(_table, delimiter="\t"),
    ".parquet": _parquet,
}
"""What reads files with fields, by suffix; all others are plain text."""
