"""Corpora: named texts in splits, read from wherever they lie and kept as one Parquet file of documents.

A corpus is configured by exactly one source: `embedded` (text that the pinned packages bring), `files` (local text, JSON, tables or
Parquet, a file or a list of files per split) or `hub` (a data set on a hub or in its local cache). The text of a split is its
documents joined by `join`; its SHA-256 goes into every record that used it.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from drank.corpora.documents import Document
from drank.corpora.embedded import EMBEDDED, JOIN
from drank.corpora.installed import package_versions
from drank.corpora.text_files import text_rows
from drank.runtime.comparing import given
from drank.runtime.files import replacing
from drank.runtime.snapshots import cached

log = logging.getLogger(__name__)

DEFAULT_JOIN = "\n\n"
"""What stands between documents unless the configuration says otherwise: the practice of the GPTQ and SVD-LLM evaluations."""


def read(source: Mapping[str, Any]) -> list[Document]:
    """The documents of a configured corpus, in order.

    Raises ValueError or FileNotFoundError where the source does not give what it promises: a missing file or field, an empty split.
    """
    if "embedded" in source:
        return EMBEDDED[source["embedded"]]()
    if "files" in source:
        return [document for split, paths in source["files"].items() for document in _local(split, paths, source)]
    return [document for split in source["splits"] for document in _hub(split, source)]


def identity_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a configured corpus another: its options, the content of local files in place of where they lie, and a hub's commit."""
    known = {key: value for key, value in source.items() if key != "characters"}
    if "files" in source:
        known["files"] = {split: [given(path) for path in listed(paths)] for split, paths in source["files"].items()}
    return known | (commit_of(source) if "hub" in source else {})


def _without_place(source: Mapping[str, Any]) -> dict[str, Any]:
    """The source as it is told: of a local file its last name."""
    if "files" not in source:
        return dict(source)
    return {**source, "files": {split: [Path(path).name for path in listed(paths)] for split, paths in source["files"].items()}}


def listed(paths: str | list[str]) -> list[str]:
    """The files of a split, of which a configuration may name one alone."""
    return [paths] if isinstance(paths, str) else paths


def join_string(source: Mapping[str, Any]) -> str:
    """What stands between the documents of a corpus when its text is put together."""
    default = JOIN if source.get("embedded") == "python-docs" else DEFAULT_JOIN
    return str(source.get("join", default))


def first_documents(documents: list[Document], characters: int) -> list[Document]:
    """Whole documents from the first on, until they hold `characters` together."""
    used = itertools.accumulate((len(document.text) for document in documents), initial=0)
    return [document for document, before in zip(documents, used, strict=False) if before < characters]


def _local(split: str, paths: str | list[str], source: Mapping[str, Any]) -> Iterator[Document]:
    for path in map(Path, listed(paths)):
        field = source.get("field", "text")
        yield from (Document(split, path.name, text) for text in _texts(text_rows(path, field), field))


def _texts(rows: Iterable[tuple[str, Any]], field: str) -> Iterator[str]:
    for where, row in rows:
        if row is None:
            raise ValueError(f"{where}: field {field!r} is empty (null), and every row is a text; remove the row")
        if not isinstance(row, str):
            raise ValueError(f"{where}: field {field!r} is {row!r:.60}, which is no text; set `field` of the corpus")
        try:
            row.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}: character {error.start} is half a surrogate pair, which is no text; correct it") from None
        yield row


def _hub(split: str, source: Mapping[str, Any]) -> Iterator[Document]:
    import datasets

    rows = datasets.load_dataset(
        **place_of(source), name=source.get("subset"), split=source["splits"][split], data_files=source.get("data_files")
    )
    field = source.get("field", "text")
    if field not in rows.column_names:
        raise ValueError(f"data set {source['hub']}: no column {field!r}, only {', '.join(rows.column_names)}; set `field` of the corpus")
    placed = ((f"data set {source['hub']}, row {number}", row) for number, row in enumerate(rows[field], 1))
    yield from (Document(split, source["hub"], text) for text in _texts(placed, field))


def place_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """The `path` and `revision` that give `datasets` a hub data set; with the hub switched off, its snapshot in the local cache.

    There `datasets` by itself would take whatever revision it has prepared last. Raises ValueError where the cache does not have it.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not constants.HF_HUB_OFFLINE:
        return {"path": source["hub"], "revision": source.get("revision")}
    try:
        return {"path": str(cached(source["hub"], source.get("revision"), "dataset"))}
    except LocalEntryNotFoundError as error:
        raise ValueError(
            f"data set {source['hub']}, revision {source.get('revision', 'main')}, is not in the local hub cache; run "
            "`drank run CONFIGURATION prefetch` on a machine with a network, or set HF_HOME to the folder that holds it"
        ) from error


def commit_of(source: Mapping[str, Any]) -> dict[str, str]:
    """The commit of a hub data set that lies in the local hub cache, which tells whether its text has changed; empty where none does."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return {"commit": cached(source["hub"], source.get("revision"), "dataset").name}
    except LocalEntryNotFoundError:
        return {}


def write(path: str | Path, source: Mapping[str, Any], documents: list[Document]) -> None:
    """Write a corpus to one Parquet file with columns split, name and text, and where it came from in the file's metadata.

    Raises ValueError where a split has no text.
    """
    import pyarrow
    import pyarrow.parquet

    splits = sorted({document.split for document in documents} | set(source.get("files", source.get("splits", ()))))
    empty = [split for split in splits if not any(document.text.strip() for document in documents if document.split == split)]
    if empty or not documents:
        raise ValueError(f"corpus {dict(source)}: no text in split {', '.join(empty) or '(none given)'}; check its files")
    facts = {"source": _without_place(source), "join": join_string(source)}
    if "embedded" in source:
        facts["versions"] = package_versions()
    table = pyarrow.table({column: [getattr(document, column) for document in documents] for column in Document._fields})
    table = table.replace_schema_metadata({"drank": json.dumps(facts)})
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    for split in splits:
        texts = [document.text for document in documents if document.split == split]
        log.info("split %s: %d documents, %d characters", split, len(texts), sum(map(len, texts)))


def load(path: str | Path, split: str | None = None) -> tuple[list[Document], dict[str, Any]]:
    """The documents of a written corpus, of one split or all, and its facts (`source`, `join`, `versions`).

    Raises ValueError naming the splits there are where `split` is not one of them.
    """
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    documents = [Document(*row) for row in zip(*(table.column(name).to_pylist() for name in Document._fields), strict=True)]
    if split is not None:
        there = sorted({document.split for document in documents})
        if split not in there:
            raise ValueError(f"{path} has no split {split!r}, only {', '.join(there)}")
        documents = [document for document in documents if document.split == split]
    return documents, json.loads(table.schema.metadata[b"drank"])
