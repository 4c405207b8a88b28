"""Measure one model: perplexity, accuracy on tasks and throughput, what a run does for a cell of its table, in one call."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calls.given import given
from drank.calls.measuring import measuring
from drank.calls.places import told
from drank.calls.request import compute_of
from drank.calls.tasks import Task, tasks_to_measure
from drank.calls.texts import Text
from drank.calls.work import Work
from drank.corpora.beginnings import AUTO
from drank.models.card.updating import update_card
from drank.models.documents import MAKING
from drank.models.sources import directory_of
from drank.reporting.records import Record
from drank.runtime.telling import telling

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


def evaluate(
    model: str | Path | PreTrainedModel,
    text: Text | Sequence[Text] | None = None,
    tasks: str | Sequence[str] | Mapping[str, Any] = (),
    throughput: bool | Mapping[str, Any] = False,
    out: str | Path | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    revision: str | None = None,
    split: str | None = None,
    windows: int | None = None,
    length: int | None = None,
    batch: int | None = None,
    limit: int | None = None,
    continuations: int | None = None,
    bos: str = AUTO,
    seen: bool = False,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    card: bool = True,
) -> dict[str, Record]:
    """What is left of a model, or what it was: a record for each kind of measurement asked for, by name.

    Args:
        model: a directory, dense or compressed, by drank or by others; an id of the hub, a shipped model, or a loaded one.
        text: what perplexity is measured on, each text on its own; as `drank.compress` takes it.
        tasks: names of tasks and groups of lm-evaluation-harness, of embedded ones, paths of YAML definitions, or a mapping as under
            `tasks` in a configuration. They need drank's extra `pipeline`.
        throughput: whether prefill and decoding are timed, or how: `batch`, `prompt`, `generate`, `repeats` and `engine` (`vllm`).
        out: a folder to write the records to, `perplexity.json`, `zeroshot.json` and `throughput.json`.
        tokenizer: that of a loaded model.
        revision: of a model on the hub.
        split: of the corpora, where they have several; `test` unless given.
        windows: the first so many windows of each text; all unless given.
        length: tokens of a window: 2048, or the model's context.
        batch: windows (4) or items (16) run at once.
        limit: the first so many items of each task.
        continuations: from how many beginnings of windows of each text the model goes on by itself (8); 0 for none.
        bos: where the token that begins a text stands: before every window and prompt (`window`), at the start of the text alone (`text`)
            or nowhere (`none`); `auto` for what the model's family needs.
        seen: whether a model may be measured on text that it was made on. Its folder tells that by the hash of the whole text, so that
            text which shares only parts with it goes unnoticed here; a run, which has both, measures how much that is.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        dtype: in which the model runs.
        threads: of the processor; all unless given.
        card: whether the numbers go into the model card of a directory that drank compressed.

    Raises ValueError with everything that is wrong, or where nothing is asked for, before the work starts; then what the steps raise.
    """
    (out,) = told(out)
    if out is not None and out.is_file():
        raise FileExistsError(f"{out} is a file, and records are written to a folder; name another")
    how = {"windows": windows, "length": length, "batch": batch, "limit": limit, "continuations": continuations, "bos": bos, "seen": seen}
    with tempfile.TemporaryDirectory(prefix="drank-") as temporary:
        folder = Path(temporary)
        place = Work(folder)
        with place.held():
            name, source = given(model, tokenizer, revision, folder)
            config, splits = measuring(name, source, text, split, tasks, throughput, compute_of(device, dtype, threads), folder, how)
            steps = list(tasks_to_measure(config, name, directory_of(source), splits))
            found = _measured(place, config, steps, out if out is not None else folder / "records")
            if card and isinstance(model, (str, Path)) and "path" in source and (Path(source["path"]) / MAKING).is_file():
                _note(source["path"], found)
            return found


def _note(directory: str, found: Mapping[str, Record]) -> None:
    """Write the numbers into the card; where that cannot be, say so, for they are there all the same."""
    try:
        update_card(directory, [record.to_dict() for record in found.values()], keep=True)
    except (OSError, ValueError, KeyError) as error:
        with telling("drank"):
            log.warning("the numbers are not in the card of %s (%r); card=False (--no-card) leaves it as it is", directory, error)


def _measured(place: Work, config: Mapping[str, Any], tasks: Sequence[Task], records: Path) -> dict[str, Record]:
    """The records of what these tasks measure, which they leave in a folder."""
    wanted = {"perplexity": config["perplexity"]["corpora"], "zeroshot": config["zeroshot"]["tasks"]}
    files, timed = {kind: records / f"{kind}.json" for kind in wanted if wanted[kind]}, place.folder / "timed"
    place.carry_out(config, tasks, {"evaluate": files, "throughput": timed})
    found = {kind: Record.read(path) for kind, path in files.items()}
    for path in timed.glob("*.json"):
        found["throughput"] = Record.read(path)
        found["throughput"].write(records / "throughput.json")
    return found
