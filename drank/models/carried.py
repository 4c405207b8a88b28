"""What belongs to a compressed model beside its weights and goes along wherever it is saved: documents, tokenizer, licence."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.documents import CARD, MAKING, NUMBERS, PLAN
from drank.models.licence import LICENCE_FILES, POLICY_FILES
from drank.models.tokenizer_files import BELOW, SETTINGS, TEMPLATES, WHOLE
from drank.runtime.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

_LICENCES = (*LICENCE_FILES[1:], *POLICY_FILES)

TOKENIZER_FILES = (
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model", "*.tiktoken", "tekken.json"),
    *("chat_template*", TEMPLATES, *_LICENCES),
)
"""What else of the folder it came from belongs to a model; what the new folder has already stays."""

_KEPT = "_drank_kept"
"""The attribute of a model whose folder is gone that holds what lay there."""

_READ_FROM = "_drank_read_from"
"""The attribute of a loaded model that holds under which name and from which folder it was loaded."""


@dataclass(frozen=True)
class Carried:
    """What goes along with the weights: the texts of the folder that the model came from, and its other files by name."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)


def written_by_drank(path: Path) -> bool:
    """Whether a document in the folder of a model may be replaced: drank wrote it, or nothing lies there."""
    if not path.is_file():
        return not path.exists()
    text = path.read_text("utf-8", "replace")
    if path.name == CARD:
        return "<!-- drank:" in text
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, list) if path.name == NUMBERS else isinstance(found, dict) and {"model", "ratio"} <= found.keys()


def keep(model: PreTrainedModel, directory: Path) -> None:
    """Let a model carry what lies beside its weights in a folder that is about to go, for whoever saves it later."""
    carried = _found(model, directory)
    setattr(model, _KEPT, Carried(carried.texts, kept={name: path.read_bytes() for name, path in carried.files.items()}))


def carried_by(model: PreTrainedModel) -> Carried:
    """What lies beside the weights that a model was loaded from; nothing where these are not of a model compressed in the same way."""
    directory = _origin(model)
    if directory is None or not (directory / "config.json").is_file():
        kept: Carried = getattr(model, _KEPT, Carried())
        return kept
    return _found(model, directory)


def _found(model: PreTrainedModel, directory: Path) -> Carried:
    described = read_json(directory / "config.json").get("quantization_config") or {}
    same = described.get("groups") == _description(model).get("groups")
    told = [name for name in (CARD, PLAN, MAKING, NUMBERS) if same and (directory / name).is_file()]
    texts = {name: (directory / name).read_text("utf-8") for name in told}
    return Carried(texts, beside(directory, TOKENIZER_FILES))


def beside(directory: Path, patterns: Iterable[str]) -> dict[str, Path]:
    """The files of a folder that patterns name, by their names from there, those of templates with their folder's."""
    found = (path for pattern in patterns for path in sorted(directory.glob(pattern)) if path.is_file())
    return {path.relative_to(directory).as_posix(): path for path in found}


def lacking(directory: Path, carried: Carried) -> list[str]:
    """The names of what goes along and is not in a folder; of a tokenizer none where the folder has one already.

    Beside another tokenizer old files count on: from special_tokens_map.json transformers takes the token that ends a text.
    """
    other = any((directory / name).is_file() for name in (WHOLE, SETTINGS))
    absent = [name for name in (*carried.files, *carried.kept) if not (directory / name).exists()]
    return [name for name in absent if not other or any(fnmatchcase(name, pattern) for pattern in _LICENCES)]


def _description(model: PreTrainedModel) -> dict[str, Any]:
    found: Any = model.config.quantization_config
    return found if isinstance(found, dict) else found.to_dict()


def read_from(model: PreTrainedModel, files: Sequence[str] | None) -> None:
    """Note which folder the files lie in that a model is being loaded from.

    The name of a model on the hub says neither its revision nor the cache nor the folder in it, and transformers 5.23 keeps none of them.
    """
    if files:
        for part in (model, model.base_model):
            setattr(part, _READ_FROM, (part.name_or_path, Path(files[0]).absolute().parent))


def _origin(model: PreTrainedModel) -> Path | None:
    """The folder that a model was loaded from, of a hub model with the documents fetched into it; None where it is gone."""
    name = model.name_or_path
    noted, folder = getattr(model, _READ_FROM, (None, None))
    if noted != name:  # it was saved elsewhere since, or never loaded
        folder = None
    if not name or Path(name).is_dir():
        return folder or (Path(name) if name else None)
    folder = folder or _cached(name, getattr(model.config, "_commit_hash", None))
    if folder is None or not folder.is_dir():
        return None
    cache = Path(f"models--{name.replace('/', '--')}", "snapshots").parts
    snapshot = next((one for one in (folder, *folder.parents) if one.parent.parts[-2:] == cache), None)
    if snapshot is not None:
        _fetch(name, snapshot, "" if folder == snapshot else f"{folder.relative_to(snapshot).as_posix()}/")
    return folder


def _cached(name: str, commit: str | None) -> Path | None:
    """The snapshot of a hub model in the cache that everybody has; a folder that is gone may have the name of somebody's model there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=commit)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _fetch(name: str, snapshot: Path, below: str) -> None:
    """Fetch into the snapshot of a hub model what lies beside its weights, in a folder of it; what the hub does not give is a warning."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [f"{below}{pattern}" for pattern in (CARD, PLAN, MAKING, NUMBERS, *TOKENIZER_FILES)]
    place: Any = {"revision": snapshot.name, "cache_dir": snapshot.parents[2]}
    try:
        snapshot_download(name, **place, allow_patterns=wanted, ignore_patterns=[f"{below}{BELOW}"])
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        log.warning("the hub does not give card, plan and tokenizer of %s (%s); only what is in the cache goes along", name, error)
