"""Records: one measurement of one model as one JSON file with full provenance, written and read through one schema."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drank.corpora.beginnings import convention_in
from drank.reporting.records.schema import SCHEMA_VERSION, RecordError, check
from drank.runtime.files import read_json, write_json

__all__ = ["Record", "RecordError", "Result", "Size", "read_records"]


@dataclass(frozen=True)
class Size:
    """What a model takes to store: `parameters` of the whole model (shared bases once), `bytes` of all saved tensors.

    `ratio_stored` is the share removed from the compressed projections as counted in the saved tensors, `ratio_model` the share removed
    from the whole model; both are negative where the factors hold more than the matrices they replace. Of somebody else's checkpoint
    the former is not known (None), and the latter is against the dense model of the run.
    """

    parameters: int
    bytes: int
    ratio_stored: float | None
    ratio_model: float


@dataclass(frozen=True)
class Result:
    """One number: a metric on a data set, with its 95 % interval, sample size, standard error and chance level where these exist."""

    dataset: str
    metric: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    count: int | None = None
    stderr: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Record:
    """Everything one measurement (`kind`) found for one model, method and ratio; `ratio` is the share asked to be removed."""

    kind: str
    model: str
    method: str
    ratio: float
    size: Size
    results: tuple[Result, ...]
    detail: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def bos(self) -> str:
        """The convention by which windows or prompts began (`corpora.beginnings`); that of older records, which do not say, was `text`."""
        return convention_in(self.provenance["settings"])

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready data; results leave out the fields they do not have."""
        data = {"schema": SCHEMA_VERSION, **asdict(self)}
        data["results"] = [{key: value for key, value in asdict(row).items() if value is not None} for row in self.results]
        return data

    @classmethod
    def from_dict(cls, data: Any, source: str = "record") -> Record:
        """The record in JSON data; RecordError lists all that is wrong, naming `source`, model, data set and remedy."""
        check(data, source)
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["size"] = Size(**data["size"])
        fields["results"] = tuple(Result(**row) for row in data["results"])
        return cls(**fields)

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """The record in a file; raises RecordError as `from_dict` does."""
        return cls.from_dict(read_json(path), str(path))

    def write(self, path: str | Path) -> None:
        """Write the record, whole or not at all; what `read` would refuse is refused here."""
        data = self.to_dict()
        check(data, str(path))
        write_json(path, data)


def read_records(paths: Iterable[str | Path]) -> list[Record]:
    """The records in files and in folders of them, in order; raises RecordError for the first that is none."""
    found = []
    for path in map(Path, paths):
        found += [Record.read(file) for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    return found
