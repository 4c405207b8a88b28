"""What the plug-in for vLLM finds out without it: where projections are, and what cannot be served."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from drank.models.families import FAMILIES
from drank.models.groups import Group, Shape
from drank.models.serving import server
from drank.models.serving.built import Built
from drank.models.serving.places import UnservableError, looked_at, moved, parts_of, places_of, torn_apart


def groups(*roles: str) -> tuple[Group, ...]:
    return tuple(Group(Shape(role, (0, 1), 8, 8), 3.0, 3, dense=role == "k") for role in roles)


def test_places_are_found_by_the_layers_that_vllm_builds():
    places = places_of("llama", groups("q", "k", "v", "o"))
    packed = {"qkv_proj": ["q_proj", "k_proj", "v_proj"]}
    query, key, value = parts_of(places, packed, "model.layers.1.self_attn.qkv_proj")
    assert (query.path, query.owner) == ("model.layers.1.self_attn.q_proj", "model.layers.0.self_attn.q_proj")
    assert key.group.dense and not value.group.dense
    assert [place.path for place in parts_of(places, packed, "model.layers.0.self_attn.o_proj")] == ["model.layers.0.self_attn.o_proj"]
    assert parts_of(places, packed, "model.layers.0.mlp.down_proj") == [None]


def test_places_move_with_the_modules():
    class Mapper:
        def map_name(self, path: str) -> str:
            return f"model.{path}"

    places = moved(places_of("gpt_neox", groups("qkv")), Mapper())
    place = places["model.gpt_neox.layers.1.attention.query_key_value"]
    assert place.owner == "model.gpt_neox.layers.0.attention.query_key_value" and place.path in places


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.mixture])
def test_a_mixture_is_refused_with_what_to_do(family):
    with pytest.raises(UnservableError, match=f"{family}.*drank export DIR OUT --to dense"):
        places_of(family, groups("q"))


def test_a_directory_is_looked_at_by_whatever_way_it_is_loaded(tmp_path):
    for load_format in ("auto", "pt", "fastsafetensors", "runai_streamer"):
        assert looked_at(str(tmp_path), load_format)
    assert [looked_at("someone/smaller", load_format) for load_format in ("auto", "pt")] == [True, False]


def test_without_vllm_it_is_said_what_to_install(monkeypatch, tmp_path):
    """Nor is a folder of its name that lies there vLLM."""
    for found in (None, ModuleSpec("vllm", None, is_package=True)):
        monkeypatch.setattr(server.importlib.util, "find_spec", lambda name, found=found: found)
        with pytest.raises(ImportError, match=r"pip install .+\[vllm\]'"):
            server.server_command(str(tmp_path), [])


def test_the_server_gets_all_that_follows_the_model(monkeypatch, tmp_path):
    """A name of the hub is vLLM's to find."""
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin="vllm/__init__.py"))
    monkeypatch.setattr(server.importlib.metadata, "entry_points", lambda group: [type("Point", (), {"name": "drank"})])
    command = server.server_command("someone/smaller", ["--port", "9"])
    assert command[1:] == ["-m", "vllm.entrypoints.openai.api_server", "--model", "someone/smaller", "--port", "9"]
    became = []
    monkeypatch.setattr(server.os, "execve", lambda *given: became.append(given))
    server.serve("someone/smaller", ["--port", "9"], {"HOME": "/home"})
    assert became == [(command[0], command, {"HOME": "/home", "PYTHONSAFEPATH": "1"})], "no file here stands in for a module"
    monkeypatch.setattr(server.importlib.metadata, "entry_points", lambda group: [])
    with pytest.raises(ImportError, match=r"so install drank: pip install ."):
        server.server_command("someone/smaller", [])


def test_a_group_that_stages_of_a_pipeline_tear_apart_is_refused_in_one_wording():
    """Whether that is seen before anything is built, or by a process that lacks the basis."""
    place = places_of("llama", groups("q"))["model.layers.1.self_attn.q_proj"]
    with pytest.raises(UnservableError) as caught:
        Built().reader_of(place)
    assert str(caught.value) == str(torn_apart([place.group.shape.name])) and "without pipeline parallelism" in str(caught.value)
