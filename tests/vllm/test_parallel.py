"""Tensor parallelism: two processes that share out each layer say what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drank.models.storage import STORAGES
from tests.vllm.conftest import DENSE_FAMILIES, KINDS, Model, Said, assert_the_same, build, said_by

PROJECT = Path(__file__).parents[2]

TWO = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests.vllm.conftest import served
if __name__ == "__main__":
    said, *directories = sys.argv[2:]
    for number, directory in enumerate(directories):
        with open(f"{said}/{number}.json", "w") as file:
            json.dump(served(directory, tensor_parallel_size=2), file)
"""


def said_by_two(folder: Path, *directories: Path) -> Iterator[Said]:
    """What two processes of vLLM say of the model in each directory, one after another; files of the test go into `folder`."""
    script = folder / "two.py"
    script.write_text(TWO)
    command = [sys.executable, *map(str, [script, PROJECT, folder, *directories])]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300 * len(directories), check=False)
    for number, directory in enumerate(directories):
        said = folder / f"{number}.json"
        assert said.is_file() and said.stat().st_size, f"{directory}: {done.stderr[-3000:]}"
        yield json.loads(said.read_text())


CASES = [
    *(("llama", storage, kind) for storage in STORAGES for kind in KINDS),
    ("phi3", "factors", "shared"),  # what vLLM joins is joined in the checkpoint too
    ("gpt2", "pivoted", "mixed"),
    ("qwen2", "factors", "mixed"),  # biases
]
OTHERS = [family for family in DENSE_FAMILIES if family not in {case[0] for case in CASES}]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes of vLLM want a core each")
@pytest.mark.parametrize(("family", "storage", "kind"), CASES)
def test_two_processes_say_what_transformers_says(
    models: dict[tuple[str, str, str], Model], family: str, storage: str, kind: str, tmp_path: Path
) -> None:
    model = models[family, storage, kind]
    assert_the_same(*said_by_two(tmp_path, model.directory), model.said)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes of vLLM want a core each")
def test_two_processes_say_what_transformers_says_of_every_other_family(models: dict[tuple[str, str, str], Model], tmp_path: Path) -> None:
    """By one program, which imports vLLM once for all of them."""
    asked = {family: models[family, "factors", "shared"] for family in OTHERS}
    for (family, model), found in zip(asked.items(), said_by_two(tmp_path, *(one.directory for one in asked.values())), strict=True):
        assert [tokens for tokens, _ in found] == [tokens for tokens, _ in model.said], family
        assert_the_same(found, model.said)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes of vLLM want a core each")
@pytest.mark.parametrize(("family", "storage"), [("llama", "factors"), ("llama", "pivoted"), ("phi3", "pivoted")])
def test_one_head_of_keys_and_values_is_in_both_processes(family: str, storage: str, tmp_path: Path) -> None:
    """Which vLLM copies where there are fewer than processes; phi3 stores it joined with the queries."""
    model = build(family, tmp_path / "model", storage, sizes={"num_key_value_heads": 1}, **KINDS["shared"])
    assert model.config.num_key_value_heads == 1
    expected = said_by(model)
    assert_the_same(*said_by_two(tmp_path, tmp_path / "model"), expected)
