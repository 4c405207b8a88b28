"""Compress one model by one method to one ratio, or plan its ranks: what a run does for a cell of its table, in one call."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.calls.given import given
from drank.calls.places import place_of, refuse_place, told
from drank.calls.request import compression, compute_of, refused
from drank.calls.tasks import chain_of, compress_task, tasks_to_plan
from drank.calls.texts import Text
from drank.calls.work import Work
from drank.config.chain import Chain
from drank.models.carried import keep
from drank.runtime.files import write_text
from drank.runtime.lock import FolderBusyError
from drank.runtime.telling import telling

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

COSTLY = ("moments", "gradients", "spectra", "sensitivity", "steps")
"""What of an interrupted call is worth keeping."""

OURS = "goes-with-the-call"
"""The file that tells the folder of a call without `work`, which is removed, from every other folder."""


def compress(
    model: str | Path | PreTrainedModel,
    method: str = "l-rank",
    ratio: float = 0.4,
    text: Text | Sequence[Text] | None = None,
    out: str | Path | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    revision: str | None = None,
    split: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    work: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> PreTrainedModel:
    """The model compressed by a method of `drank.methods.METHODS`, with `ratio` of the parameters of its projections removed.

    Args:
        model: a directory, a GGUF file, an id of the hub, the name of a model that drank ships, or a loaded one (with its `tokenizer`).
        method: its name; each of its options can be given as a keyword (`beta=0.2, group=1`), as config/README.md explains them.
        ratio: the share to remove, between 0 and 1; methods without a budget ignore it.
        text: what moments and gradients are taken on: files (.txt, .jsonl, .parquet; `FILE,field=NAME` where the text is not in the field
            `text`), text itself, the name of an embedded corpus, `hub:org/name,subset=…,split=…,field=…`, or an entry as under `corpora` in
            a configuration. Methods that read none need none.
        out: the directory to save to; without one the model is only returned.
        tokenizer: that of a loaded model.
        revision: of a model on the hub.
        split: of the corpus, where it has several; `train` unless given.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        dtype: in which the model runs and is stored; moments and decompositions are float64.
        threads: of the processor; all unless given. On a CPU a run with the same `compute: threads` has the same numbers to the last bit.
        work: a folder that keeps what was calibrated and decomposed, for another ratio or method; without one it lies beside `out`, is
            removed when all is done, and stays where the call was interrupted, so that the same call goes on there.
        overwrite: whether a model that drank made at `out` may be replaced.
        options: options of the method; of the text `windows` (256), `length` (2048 tokens, or the model's context), `batch` (8),
            `text_seed` (13), `curvature_windows` and `bos` (`auto`: whether every window begins with BOS, `window`, as some families need,
            or the text alone, `text`; or `none`); and `search` and `finetune`, sections as in a configuration.

    Raises ValueError with everything that is wrong, FileExistsError, FileNotFoundError, TypeError for unknown options and ImportError for
    packages that are missing, all before the work starts; then what the steps raise.
    """
    out, work = told(out, work)
    refuse_place(out, model, overwrite, work)
    asked = (model, method, ratio, text, split, tokenizer, revision, compute_of(device, dtype, threads), options)
    with _workplace(out, work) as folder, _asked(folder, *asked) as (place, config, chain):
        tasks = [*tasks_to_plan(config, chain), compress_task(config, chain)]
        made: PreTrainedModel = place.carry_out(config, tasks, {"compress": folder / chain.made if out is None else place_of(out)})
        if out is None:
            keep(made, folder / chain.made)
    return made


def plan(
    model: str | Path | PreTrainedModel,
    method: str = "l-rank",
    ratio: float = 0.4,
    text: Text | Sequence[Text] | None = None,
    out: str | Path | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    revision: str | None = None,
    split: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    work: str | Path | None = None,
    **options: Any,
) -> Plan:
    """The ranks that a method gives to every group of a model, without compressing it; written to the file `out` as JSON where given.

    Arguments and errors are those of `compress`. With `work` the compression that follows goes on from here.
    """
    out, work = told(out, work)
    if out is not None and out.is_dir():
        raise FileExistsError(f"{out} is a folder, and a plan is a file; name another place, such as {out / 'plan.json'}")
    asked = (model, method, ratio, text, split, tokenizer, revision, compute_of(device, dtype, threads), options)
    with _workplace(None, work) as folder, _asked(folder, *asked) as (place, config, chain):
        place.carry_out(config, list(tasks_to_plan(config, chain)))
        found = Plan.read(folder / chain.plan)
    if out is not None:
        write_text(out, found.to_json())
    return found


@contextmanager
def _asked(
    folder: Path,
    model: str | Path | PreTrainedModel,
    method: str,
    ratio: float,
    text: Text | Sequence[Text] | None,
    split: str | None,
    tokenizer: PreTrainedTokenizerBase | None,
    revision: str | None,
    compute: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Iterator[tuple[Work, dict[str, Any], Chain]]:
    """The folder at work for this call, the configuration that asks a run for the same, and the way to its model."""
    place = Work(folder)
    with place.held():
        name, source = given(model, tokenizer, revision, folder)
        config = compression(name, source, method, ratio, text, folder, split, compute, options)
        chain = chain_of(config)
        if not chain.method.compresses:
            raise refused([f"method {method} leaves the model as it is; name one that compresses"])
        yield place, config, chain


@contextmanager
def _workplace(out: Path | None, work: Path | None) -> Iterator[Path]:
    """The folder to work in: the one that was named, or one that goes when all is well."""
    if work is not None:
        yield work
        return
    if out is None:
        with tempfile.TemporaryDirectory(prefix="drank-") as temporary:
            yield Path(temporary)
        return
    place = place_of(out)
    folder = place.with_name(f"{place.name}.work")
    known = folder.exists()
    if known and any(folder.iterdir()) and not (folder / OURS).is_file():
        raise FileExistsError(
            f"{folder} is where this call would work, and something else is in it; name another place by work=… (--work), where it is kept"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OURS).touch()
    try:
        yield folder
    except FolderBusyError:  # what lies there is the other call's
        raise
    except BaseException:
        if any((folder / "results" / step).exists() for step in COSTLY):
            with telling("drank"):
                log.warning("what was done so far is kept in %s; the same call goes on there", folder)
        elif not known:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)
