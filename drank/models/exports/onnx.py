"""A compressed model, or a dense one, as an ONNX graph with key-value cache, for ONNX Runtime and what is built on it.

Low-rank layers stay what they are, products of two factors, and a basis that layers share is stored once.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from drank.models.card.onnx import onnx_card
from drank.models.description import CheckpointError, is_compressed, quantised_by
from drank.models.documents import CARD, DATA, GRAPH, MAKING
from drank.models.exports.answers import ExportError, answers_of, farthest, questions_for
from drank.models.exports.checked import description_of
from drank.models.exports.dense import OURS
from drank.models.exports.writing import take_along
from drank.models.hashes import StoredFile, WeightHashes
from drank.models.licence import licence_of
from drank.models.verification import verify
from drank.runtime.files import file_hash, read_json, replacing, share_mode, write_json
from drank.runtime.installing import install

NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""What torch's exporter writes by, and what the result is checked by."""


def to_onnx(directory: str | Path, out: str | Path, max_shard_size: int | str | None = None) -> Path:
    """Write the model of a directory, compressed or dense, as ONNX into `out`, whole or not at all; returns `out`.

    Weights and computation are in float32, whatever the precision of the checkpoint, since ONNX Runtime has no products in bfloat16 on a
    CPU; they are in one file (`max_shard_size` is for other forms). What ONNX Runtime makes of it is held against the model before it is
    put in place. Raises ImportError where a package that this needs is missing, UnknownFamilyError for a family without an entry,
    CheckpointError for a directory without a whole model, with other weights than its card states, or that another tool packed, ExportError
    where torch's exporter cannot follow the model, or the result is not the model, ValueError where `out` is the directory.
    """
    directory, out = Path(directory), Path(out)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ImportError(f"the ONNX export needs {' and '.join(missing)}, not installed here: {install('onnx')}")
    if out.resolve() == directory.resolve():
        raise ValueError(f"{out} is the model that is to be exported; name another folder for its ONNX form")
    config = _config_of(directory)
    from drank.models.checkpoint import load_model

    with replacing(out) as temporary:
        temporary.mkdir()  # before the work, which is in vain where nothing can be written
        model = load_model(directory, "float32")
        ids, mask = questions_for(model)
        expected = answers_of(model, ids, mask)
        program = _program(model)
        del model
        program.save(temporary / GRAPH, external_data=True)
        del program  # the check reads the weights again, and they need not be in memory twice
        off = farthest(temporary / GRAPH, ids, mask, expected)
        write_json(temporary / "config.json", {key: value for key, value in config.items() if key not in OURS} | {"dtype": "float32"})
        take_along(directory, temporary)
        share_mode(temporary.glob("*.onnx*"), temporary / "config.json")
        low_rank = is_compressed(config.get("quantization_config") or {})
        making = (read_json(directory / MAKING) if (directory / MAKING).is_file() else None) if low_rank else _dense(directory)
        card = onnx_card(directory.resolve().name, onnx_hashes(temporary), making, low_rank, _facts(off))
        (temporary / CARD).write_text(card, "utf-8")
    return out


def onnx_hashes(directory: Path) -> WeightHashes:
    """The hashes of graph and weights in a directory."""
    files = {name: StoredFile(file_hash(directory / name), (directory / name).stat().st_size) for name in (GRAPH, DATA)}
    return WeightHashes(files, files[DATA].sha256)


def _config_of(directory: Path) -> dict[str, Any]:
    """config.json of a model that can be exported, before anything is built of it."""
    config = description_of(directory)
    if packed := quantised_by(config):
        raise CheckpointError(
            f"{directory} is packed by {packed}, whose products ONNX does not know; export the model that it was made of, and quantise the "
            "ONNX file"
        )
    verify(directory)
    return config


def _program(model: Any) -> Any:
    """The ONNX program of a model."""
    from drank.models.exports.graph import example_of, traced

    try:
        return traced(model, example_of(model))
    except Exception as error:  # the exporter raises what torch, onnxscript and the model's own code do
        raise ExportError(
            f"torch's exporter cannot follow this {model.config.model_type} model ({' '.join(str(error).split())[:300]}), so nothing was "
            "written; another version of torch may, and `--to dense` needs no exporter"
        ) from error


def _dense(directory: Path) -> dict[str, Any]:
    """What is known of a dense model, as the notes of a compressed one have it of their base."""
    return {"model": directory.resolve().name, "base": {"source": {"path": directory.resolve().name}, "licence": licence_of(directory)}}


def _facts(off: float) -> dict[str, str]:
    from drank.models.exports.graph import OPSET

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", *NEEDED))
    return {
        "Precision": "float32",
        "Operators": f"version {OPSET} of ONNX's own, no others",
        "Checked": f"logits of a padded prompt and of a token after it are those of torch to {off:.1g} of the largest, on a CPU",
        "Made with": versions,
    }
