"""Tensor parallelism: two processes that share out each layer say what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drank.models.storage import STORAGES
from tests.vllm.conftest import KINDS, Model, Said, assert_the_same, build, said_by

PROJECT = Path(__file__).parents[2]

TWO = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests.vllm.conftest import served
if __name__ == "__main__":
    json.dump(served(sys.argv[2], tensor_parallel_size=2), open(sys.argv[3], "w"))
"""


def said_by_two(directory: Path, folder: Path) -> Said:
    """What two processes of vLLM say of the model in a directory; files of the test go into `folder`."""
    script, said = folder / "two.py", folder / "said.json"
    script.write_text(TWO)
    command = [sys.executable, str(script), str(PROJECT), str(directory), str(said)]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: Said = json.loads(said.read_text())
    return found


CASES = [
    *(("llama", storage, kind) for storage in STORAGES for kind in KINDS),
    ("phi3", "factors", "shared"),  # what vLLM joins is joined in the checkpoint too
    ("gpt2", "pivoted", "mixed"),
    ("qwen2", "factors", "mixed"),  # biases
]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes of vLLM want a core each")
@pytest.mark.parametrize(("family", "storage", "kind"), CASES)
def test_two_processes_say_what_transformers_says(
    models: dict[tuple[str, str, str], Model], family: str, storage: str, kind: str, tmp_path: Path
) -> None:
    model = models[family, storage, kind]
    assert_the_same(said_by_two(model.directory, tmp_path), model.said)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes of vLLM want a core each")
@pytest.mark.parametrize(("family", "storage"), [("llama", "factors"), ("llama", "pivoted"), ("phi3", "pivoted")])
def test_one_head_of_keys_and_values_is_in_both_processes(family: str, storage: str, tmp_path: Path) -> None:
    """Which vLLM copies where there are fewer than processes; phi3 stores it joined with the queries."""
    model = build(family, tmp_path / "model", storage, sizes={"num_key_value_heads": 1}, **KINDS["shared"])
    assert model.config.num_key_value_heads == 1
    expected = said_by(model)
    assert_the_same(said_by_two(tmp_path / "model", tmp_path), expected)
