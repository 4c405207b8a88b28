"""`save_pretrained` and `push_to_hub` of a compressed model carry its card, plan, making and tokenizer, as drank's own `save` does.

Transformers writes weights and configuration only, and puts a template over the README of what it pushes. The two methods are wrapped
once, when transformers defines them, and act as ever on every model that drank did not compress.
"""

from __future__ import annotations

import functools
import logging
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.card.markdown import changed_front_matter
from drank.models.card.rendering import PLACE
from drank.models.card.writing import card_of, renewed
from drank.models.carried import TOKENIZER_FILES, Carried, beside, carried_by, lacking, written_by_drank
from drank.models.description import CheckpointError, is_compressed
from drank.models.documents import CARD, MAKING, NUMBERS, PLAN, are_left_out
from drank.models.hashes import weight_hashes
from drank.models.licence import split_front_matter
from drank.models.tensors import weight_files
from drank.models.tokenizer_files import TEMPLATES
from drank.runtime.files import read_json, write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

_MARK = "_drank_carries_documents"


def install() -> None:
    """Wrap both methods of transformers' models; a second call changes nothing."""
    from transformers.modeling_utils import PreTrainedModel

    for name, wrapper in (("save_pretrained", _saving), ("push_to_hub", _pushing)):
        method = getattr(PreTrainedModel, name)
        if not hasattr(method, _MARK):
            wrapped = wrapper(method)
            setattr(wrapped, _MARK, True)
            setattr(PreTrainedModel, name, wrapped)


def _saving(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def save_pretrained(self: PreTrainedModel, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        if not _compressed(self) or are_left_out():
            return original(self, save_directory, *args, **kwargs)
        push, options = kwargs.pop("push_to_hub", False), {}
        if push and kwargs.get("variant"):
            raise ValueError("a compressed model is pushed without `variant`: drank reads model.safetensors; save it, then push it")
        if push:  # our own, after the folder is whole
            names = ("repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags")
            options = {key: kwargs.pop(key) for key in names if key in kwargs}
        directory = Path(save_directory)
        carried = carried_by(self)  # read first: the folder may be the very one that the model came from
        before = _stamps(directory) if push else {}
        result = original(self, save_directory, *args, **kwargs)
        if _writes(self, args[0] if args else kwargs.get("is_main_process", True)) and all(map(Path.is_file, weight_files(directory))):
            try:
                _document(directory, carried)
            except CheckpointError as error:  # the weights that the user asked for are there
                log.warning("%s gets no model card: %s", directory, error)
            if push:
                same = {name for name, stamp in _stamps(directory).items() if before.get(name) == stamp}
                own = {*carried.texts, *beside(directory, TOKENIZER_FILES)}  # of the model, though they lay there already
                _upload(directory, options.pop("repo_id", directory.name), same - own, **options)
        return result

    return save_pretrained


def _pushing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def push_to_hub(self: PreTrainedModel, repo_id: str, *, max_shard_size: Any = "50GB", **kwargs: Any) -> Any:
        if not _compressed(self):
            return original(self, repo_id, max_shard_size=max_shard_size, **kwargs)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, max_shard_size=max_shard_size)
            kwargs.setdefault("tags", getattr(self, "model_tags", None))
            return _upload(Path(folder), repo_id, **kwargs)

    return push_to_hub


def _writes(model: PreTrainedModel, main: bool) -> bool:
    """Whether it is this process, of those that save a model together, that writes files."""
    decide = getattr(model, "should_save_on_this_rank", None)
    return bool(decide(main) if decide else main)


def _compressed(model: PreTrainedModel) -> bool:
    """Whether drank compressed a model, and what is saved are its own weights, not those of adapters on it."""
    return is_compressed(getattr(model.config, "quantization_config", None)) and not getattr(model, "_hf_peft_config_loaded", False)


def _document(directory: Path, carried: Carried) -> None:
    """Write what goes along with the weights of a compressed model into the folder that has them."""
    for name in lacking(directory, carried):
        (directory / name).parent.mkdir(exist_ok=True)
        if name in carried.files:
            shutil.copy(carried.files[name], directory / name)
        else:
            (directory / name).write_bytes(carried.kept[name])
    if foreign := [name for name in (CARD, PLAN, MAKING, NUMBERS) if not written_by_drank(directory / name)]:
        log.warning("%s stays as it is: %s there is not drank's, so the model has no card of its own", directory, ", ".join(foreign))
        return
    for name in (PLAN, MAKING, NUMBERS):
        (directory / name).unlink(missing_ok=True)  # of another model that lay here before
        if name in carried.texts:
            write_text(directory / name, carried.texts[name])
    card = carried.texts.get(CARD)
    if card is None:
        making = read_json(directory / MAKING) if MAKING in carried.texts else None
        write_text(directory / CARD, card_of(directory, making))
    else:
        write_text(directory / CARD, renewed(card, weight_hashes(directory)))


def _stamps(directory: Path) -> dict[str, tuple[int, int]]:
    """When each file that a push would take was written, and its size: by these it is told what a save has not touched."""
    found = {name: path.stat() for name, path in beside(directory, ("*", TEMPLATES)).items()}
    return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found.items()}


def _upload(
    directory: Path,
    repo_id: str,
    withheld: Collection[str] = (),
    *,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tags: str | list[str] | None = None,
) -> Any:
    """Put a folder on the hub in one commit, as transformers' `push_to_hub` does with its own; returns what the hub says of the commit.

    Files that are `withheld` by name stay here, such as those of a trainer in the folder that it saves to.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision is not None and not revision.startswith("refs/pr"):
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    card = (directory / CARD).read_text("utf-8").replace(PLACE, repo_id)
    if tags:
        known = split_front_matter(card)[0].get("tags") or []
        card = changed_front_matter(card, tags=list(dict.fromkeys([*known, *([tags] if isinstance(tags, str) else tags)])))
    found = beside(directory, ("*", TEMPLATES))
    sources: dict[str, Any] = {name: path for name, path in found.items() if not name.startswith(".") and name not in withheld}
    sources[CARD] = card.encode()  # the name on the hub stands in the card of the hub only
    return api.create_commit(
        repo_id,
        [CommitOperationAdd(name, source) for name, source in sources.items()],
        commit_message=commit_message or "Upload model",
        commit_description=commit_description,
        revision=revision,
        create_pr=create_pr,
    )
