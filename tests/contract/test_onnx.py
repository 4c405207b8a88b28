"""Every family and storage: what ONNX Runtime makes of an exported model is what transformers makes of the model, along 32 tokens."""

from __future__ import annotations

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

import drank
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.conversion import convert
from drank.models.description import CheckpointError
from drank.models.documents import DATA, GRAPH
from drank.models.exports import graph, onnx
from drank.models.exports.answers import ExportError, Session
from drank.models.exports.onnx import NEEDED, to_onnx
from drank.models.families import FAMILIES
from drank.models.storage import STORAGES

MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f"the ONNX export needs {', '.join(MISSING)}; make test-onnx runs this with them")

TOKENS = 32

CASES = [
    pytest.param(family, storage, marks=() if storage == tuple(STORAGES)[number % 2] or family == "llama" else pytest.mark.heavy)
    for number, family in enumerate(FAMILIES)
    for storage in STORAGES
]
"""Each family in one storage and one in both; the others take as long again, so they are for `make test-heavy`."""


def greedy(session, ids):
    """The next tokens by the cache, for a batch without padding."""
    text, cache = ids, session.empty(len(ids))
    for _ in range(TOKENS):
        logits, cache = session.step(ids, np.ones_like(text), cache)
        ids = logits[:, -1:].argmax(-1)
        text = np.concatenate([text, ids], 1)
    return text


def logits_and_tokens(directory, tokens):
    """What transformers makes of a model: all logits of the tokens, and these with the likeliest 32 after them."""
    model = load_model(directory, "float32")
    with torch.no_grad():
        logits = model(tokens).logits.numpy()
        model.generation_config = GenerationConfig(pad_token_id=0)  # without a token that ends
        text = model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=TOKENS, do_sample=False)
    return logits, text.numpy()


@pytest.fixture
def compressed(compress, tmp_path):
    """Writes a tiny compressed model, two layers deep, as an export takes its time for each, and gives its directory."""

    def write(family, **options):
        model, plan = compress(family, dense=("o",), num_hidden_layers=2, **options)
        save(model, None, plan.groups, tmp_path / "model")
        return tmp_path / "model"

    return write


@pytest.fixture(scope="module")
def half(tiny_model, tiny_plan, svd_factors, tiny_tokenizer, tmp_path_factory):
    """A compressed model of one layer in half precision, and its export."""
    folder = tmp_path_factory.mktemp("onnx")
    model = tiny_model("llama", num_hidden_layers=1, dtype=torch.bfloat16)
    plan = tiny_plan(model)
    convert(model, plan.groups, svd_factors(model, plan))
    save(model, tiny_tokenizer, plan.groups, folder / "half")
    return folder / "half", drank.export(folder / "half", folder / "exported", to="onnx")


class Altered:
    """What torch's exporter might give: the files of an export, altered."""

    def __init__(self, source, alter):
        self.source, self.alter = source, alter

    def save(self, path, external_data):
        for name in (GRAPH, DATA):
            (path.parent / name).write_bytes(self.alter(name, (self.source / name).read_bytes()))


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(("family", "storage"), CASES, indirect=["storage"])
def test_an_export_gives_the_tokens_of_transformers(family, storage, compressed, tokens, tmp_path):
    """A batch of two, longer than the sliding windows; in names, sizes and files what other programs look for."""
    directory = compressed(family, tie_word_embeddings=family in ("gemma2", "llama"))
    out = to_onnx(directory, tmp_path / "onnx")
    session = Session(out / GRAPH)
    logits, text = logits_and_tokens(directory, tokens)
    found, _ = session.step(tokens.numpy(), np.ones_like(tokens.numpy()), session.empty(2))
    assert np.abs(logits).mean() > 0.1
    np.testing.assert_allclose(found, logits, rtol=1e-3, atol=1e-3)
    assert (greedy(session, tokens.numpy()) == text).all()
    inputs, outputs = graph.names_of(2)
    assert [one.name for one in session.session.get_inputs()] == inputs
    assert [one.name for one in session.session.get_outputs()] == outputs


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("storage", ["factors"], indirect=True)
def test_shared_bases_and_tied_heads_are_stored_once(storage, compressed, tmp_path):
    """In the file beside the graph, where all matrices are; of this size, for those of 8192 numbers and less the exporter turns around."""
    directory = compressed("llama", hidden_size=128, intermediate_size=160, tie_word_embeddings=True)
    out = to_onnx(directory, tmp_path / "onnx")
    stored = sum(tensor.nbytes for tensor in load_model(directory).parameters())
    assert (out / GRAPH).stat().st_size < 150_000
    assert 0.97 * stored < (out / DATA).stat().st_size < 1.03 * stored


@needs_onnx
@pytest.mark.slow
def test_half_precision_is_exported_in_float32_with_all_that_belongs_to_a_model(half, tokens):
    directory, out = half
    _, text = logits_and_tokens(directory, tokens)
    assert (greedy(Session(out / GRAPH), tokens.numpy()) == text).all()
    config = json.loads((out / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert "quantization_config" not in config
    assert load_tokenizer(out)("def").input_ids == load_tokenizer(directory)("def").input_ids
    assert (out / "generation_config.json").is_file()
    assert not list(out.glob("*.safetensors"))
    assert str(directory.parent) not in (out / GRAPH).read_bytes().decode("latin-1")
    assert "site-packages" not in (out / GRAPH).read_bytes().decode("latin-1")


@needs_onnx
@pytest.mark.slow
def test_the_card_of_an_export_says_how_it_runs(half):
    _, out = half
    code = (out / "README.md").read_text().split("```")[1].removeprefix("python\n")
    exec(compile(code.replace("path/to/this/model", str(out)), "card", "exec"), {"print": lambda text: None})
    found = drank.show(out)
    assert found.kind == "onnx"
    assert "verified: 2 weight files have" in str(found)


@needs_onnx
@pytest.mark.slow
def test_an_export_is_not_replaced_unasked_and_a_changed_one_is_found(half, tmp_path):
    directory, out = half
    with pytest.raises(FileExistsError, match="overwrite"):
        drank.export(directory, out, to="onnx")
    changed = shutil.copytree(out, tmp_path / "changed")
    data = bytearray((changed / DATA).read_bytes())
    data[7] ^= 1
    (changed / DATA).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.onnx\.data: the card states"):
        drank.show(changed)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda name, data: data if name == GRAPH else data[::-1], "is not the one that was read"),
        (lambda name, data: data if name == GRAPH else bytes(len(data)), "is not the one that was read"),
        (lambda name, data: data if name == DATA else data[: len(data) // 2], "ONNX Runtime does not run"),
        (lambda name, data: data if name == GRAPH else data[:64], "ONNX Runtime does not run"),
    ],
    ids=["reversed", "zeros", "half a graph", "weights cut off"],
)
def test_an_export_that_is_not_the_model_is_refused_and_leaves_nothing(half, tmp_path, monkeypatch, alter, message):
    directory, out = half
    monkeypatch.setattr(onnx, "_program", lambda model: Altered(out, alter))
    with pytest.raises(ExportError, match=message):
        to_onnx(directory, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@needs_onnx
@pytest.mark.slow
def test_a_dense_model_is_exported_to_be_compared(tiny_model, tokens, tmp_path):
    save(tiny_model("qwen2", num_hidden_layers=1), None, None, tmp_path / "dense")
    out = drank.export(tmp_path / "dense", tmp_path / "onnx", to="onnx")
    _, text = logits_and_tokens(tmp_path / "dense", tokens)
    assert (greedy(Session(out / GRAPH), tokens.numpy()) == text).all()
    assert "a plain model" in (out / "README.md").read_text()
