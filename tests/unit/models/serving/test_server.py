"""What `drank serve` looks at before vLLM starts, and how it starts it."""

from __future__ import annotations

import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from drank.models.serving import server
from drank.models.serving.places import UnservableError, refuse_misread
from drank.models.serving.server import PLUGINS, serve, server_command
from tests.unit.small_compressed import compressed, dense


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where vLLM is installed, and finds drank."""
    real, there = server.importlib.util.find_spec, ModuleSpec("vllm", None, origin="vllm/__init__.py")
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name, *rest: there if name == "vllm" else real(name, *rest))
    monkeypatch.setattr(server.importlib.metadata, "entry_points", lambda group: [type("Point", (), {"name": "drank"})])


@pytest.fixture(params=[compressed, lambda directory: dense().save_pretrained(directory)], ids=["compressed", "dense"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of a model, whose head is not its embedding."""
    request.param(tmp_path / "model")
    return tmp_path / "model"


def describe(directory: Path, **changes: Any) -> None:
    """Say something else in config.json; None takes an entry out."""
    file = directory / "config.json"
    changed = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))


def test_a_model_is_served_as_it_is(model: Path) -> None:
    assert server_command(str(model), ["--port", "9"])[-3:] == [str(model), "--port", "9"]


def test_a_head_that_is_tied_in_name_is_refused_with_what_to_do(model: Path) -> None:
    """vLLM would take the embedding in its place, in silence."""
    describe(model, tie_word_embeddings=True)
    with pytest.raises(UnservableError, match=r"lm_head\.weight with other numbers.*set tie_word_embeddings to false"):
        server_command(str(model), [])
    with pytest.raises(UnservableError, match="with other numbers"):
        refuse_misread(str(model))  # what the plug-in calls


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_beside_the_weights_is_refused(model: Path, name: str) -> None:
    (model / name).write_text("{}")
    for look in (lambda: server_command(str(model), []), lambda: refuse_misread(str(model))):
        with pytest.raises(ValueError, match=rf"holds an adapter \({name}\) beside the weights.*merge_and_unload"):
            look()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": None}, "'None' is not a family that drank knows"),
        ({"model_type": ["llama"]}, "is not a family that drank knows"),
        ({"model_type": "mixtral"}, "--to dense"),
        ({"model_type": "gemma2", "use_bidirectional_attention": True}, "use_bidirectional_attention: True"),
    ],
)
def test_a_description_of_no_model_that_drank_knows_is_refused_in_words(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    compressed(tmp_path)
    describe(tmp_path, **changes)
    with pytest.raises(ValueError, match=told):
        server_command(str(tmp_path), [])


def test_a_description_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="holds no keys and values"):
        server_command(str(tmp_path), [])


def test_a_dense_model_in_another_form_is_for_vllm_to_read(tmp_path: Path) -> None:
    """Mistral's own files, or a pickle."""
    dense().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "consolidated.safetensors")
    describe(tmp_path, tie_word_embeddings=True, model_type="some other")
    assert server_command(str(tmp_path), [])


@pytest.mark.parametrize(
    ("listed", "given"),
    [(None, None), ("drank", "drank"), ("other,drank", "other,drank"), ("other", "other,drank"), ("", "drank")],
)
def test_the_plug_in_is_among_those_that_are_listed(listed: str | None, given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM loads no other, and to it an empty list is one of none."""
    became: list[Any] = []
    monkeypatch.setattr(server.os, "execve", lambda *arguments: became.append(arguments[2]))
    serve("someone/smaller", [], {} if listed is None else {PLUGINS: listed})
    assert became[0].get(PLUGINS) == given
