"""GGUF files as model directories: dequantised once by transformers, checked, and kept below the user's cache by what the file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from drank.models.made_once import Work, failure, place_of
from drank.models.pre_tokenizers import resplit, split
from drank.runtime.content import content_of
from drank.runtime.device import go_offline
from drank.runtime.files import replacing, share_mode
from drank.runtime.stand_ins import stand_in, unreachable

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedModel

SUFFIX = ".gguf"
MAGIC = b"GGUF"

FORM = 3
"""Counts up when `dequantise` makes another directory of the same file."""

CONTEXT = ".rope.scaling.original_context_length"
"""Ends the key of a length that scales nothing by itself: Phi-3 always has it."""

INSTALL = "`pip install --no-deps gguf==0.19.0`, or `--target FOLDER -r envs/real.lock` with that folder on PYTHONPATH"

WORK = Work(
    maker=f"{__name__}:dequantise",
    doing="dequantising",
    memory="some ten bytes of memory a parameter",
    failed="transformers makes no model of it",
    disk="four bytes a parameter",
)
"""How a file is made a directory of."""


class GGUFError(ValueError):
    """A GGUF file that is not there, or of which no model can be made."""


def file_of(source: Mapping[str, Any]) -> Path | None:
    """The GGUF file of a configured model, also one inside an installed package; None where its source is no GGUF.

    Raises GGUFError where the package is not installed, or does not tell which file is meant.
    """
    if "gguf" in source:
        return Path(source["gguf"])
    return _inside(source["package"], source.get("file")) if "package" in source else None


def _inside(package: str, name: str | None) -> Path:
    try:
        listed = [entry for entry in files(package) or () if entry.suffix.lower() == SUFFIX]
    except PackageNotFoundError:
        raise GGUFError(
            f"the package {package} is not installed; `pip install --no-deps {package}`, or `make real` for the one that drank pins"
        ) from None
    found = [entry for entry in listed if name in (None, entry.name, entry.as_posix())]
    if len(found) != 1:
        count, held = "several" if found else "no", ", ".join(entry.as_posix() for entry in listed) or "none"
        wanted = f"{'files' if found else 'file'} {name}" if name else "GGUF files"
        raise GGUFError(f"{count} {wanted} in the package {package}; it holds: {held}; name one by `file`, also with its folders")
    return Path(str(found[0].locate()))


def unpacked(file: Path) -> Path:
    """The model directory made of a GGUF file, which the first call makes: weights in float32, to the bit what the file's blocks stand for.

    It lies below `$XDG_CACHE_HOME/drank`, or `~/.cache/drank`, under the hash of the file and the version of transformers. Raises GGUFError
    where the file is missing or no GGUF, its architecture is not known, its tensors are not whole, or something would be lost.
    """
    if amiss := unreachable(file) or _foreign(file):
        raise GGUFError(amiss)
    key = hashlib.sha256(f"{content_of(file)} {version('transformers')} {FORM}".encode()).hexdigest()[:16]
    directory = place_of("gguf", f"{file.stem}-{key}")
    if not directory.is_dir() and (amiss := _absent_reader(file) or failure(WORK, str(file), str(file), directory)):
        raise GGUFError(amiss)
    return directory


def _foreign(file: Path) -> str | None:
    with file.open("rb") as opened:
        return None if opened.read(len(MAGIC)) == MAGIC else f"{file} {stand_in(file) or 'is no GGUF file'}"


def _absent_reader(file: Path) -> str | None:
    return None if find_spec("gguf") else f"{file} is read by the package gguf, which is not installed; {INSTALL}"


def dequantise(path: str, directory: Path) -> None:
    """Write the model and the tokenizer in a GGUF file as a Hugging Face directory with float32 safetensors, whole or not at all.

    Its README has the licence that the file states. Raises CheckpointError for tensors that are missing, misshapen or not finite,
    GGUFError for a part of a file and for what would be lost, and whatever transformers raises for what it cannot read.
    """
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from drank.models.loaded import refuse_bad

    go_offline()
    file = Path(path)
    reader = GGUFReader(path)
    if (parts := int(_stated(reader, "split.count") or 1)) > 1:
        raise GGUFError(f"it is one of {parts} parts; join them by `llama-gguf-split --merge FIRST_PART WHOLE`")
    with _by_itself(file) as place:
        loaded: Any = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(**place)
    model, info = loaded
    refuse_bad(file, model, info)
    pre = _splitting(reader)
    _refuse(*_lost(reader, model), split(tokenizer, pre))
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):  # of the blocks that are no more
        del model.config.quantization_config
    with replacing(directory) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        _refuse(resplit(tokenizer, AutoTokenizer.from_pretrained(temporary), pre))
        if licence := _stated(reader, "general.license"):
            (temporary / "README.md").write_text(f"---\nlicense: {licence}\n---\nDequantised from {file.name}.\n", "utf-8")
        share_mode(temporary.rglob("*.safetensors"), temporary / "config.json")


@contextmanager
def _by_itself(file: Path) -> Iterator[dict[str, str]]:
    """Where transformers finds a GGUF file and nothing else: of what lies beside it, maybe another model's, it would read a lot."""
    with TemporaryDirectory() as folder:
        (Path(folder) / file.name).symlink_to(file.resolve())
        yield {"pretrained_model_name_or_path": folder, "gguf_file": file.name}


def _refuse(*lost: str | None) -> None:
    if any(lost):
        raise GGUFError(f"the model would be another one: {'; '.join(filter(None, lost))}; take the checkpoint that the file was made of")


def _lost(reader: GGUFReader, model: PreTrainedModel) -> Iterator[str]:
    """What a file says of its model that transformers leaves out in silence: a scaling of RoPE, and tensors that it has no place for."""
    scaling = {key: _stated(reader, key) for key in reader.fields if ".rope.scaling." in key and not key.endswith(CONTEXT)}
    if any(not key.endswith(".type") or value != "none" for key, value in scaling.items()):
        told = ", ".join(f"{key} {value}" for key, value in scaling.items())
        yield f"it scales RoPE ({told}), which transformers does not read of a GGUF"
    held, taken = sum(int(tensor.n_elements) for tensor in reader.tensors), sum(parameter.numel() for parameter in model.parameters())
    if held != taken:
        apart = ", ".join(sorted(tensor.name for tensor in reader.tensors if not tensor.name.startswith("blk.")))
        yield f"it holds {held:,} numbers and the model takes {taken:,} (its tensors outside the blocks: {apart})"


def _splitting(reader: GGUFReader) -> str | None:
    """The name by which a file with a byte-level tokenizer says how text is split; None where it does not, or has another tokenizer."""
    return _stated(reader, "tokenizer.ggml.pre") if _stated(reader, "tokenizer.ggml.model") == "gpt2" else None


def _stated(reader: GGUFReader, key: str) -> str | None:
    """What the metadata of a GGUF file state under a key, as text; None where they state nothing."""
    field = reader.get_field(key)
    return str(field.contents()).strip() or None if field else None
