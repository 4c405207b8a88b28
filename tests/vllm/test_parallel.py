"""Tensor parallelism: two processes that share out each layer say what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drank.models.storage import STORAGES
from tests.vllm.conftest import KINDS, Model, assert_the_same

PROJECT = Path(__file__).parents[2]

TWO = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests.vllm.conftest import served
if __name__ == "__main__":
    json.dump(served(sys.argv[2], tensor_parallel_size=2), open(sys.argv[3], "w"))
"""


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
    model, script, said = models[family, storage, kind], tmp_path / "two.py", tmp_path / "said.json"
    script.write_text(TWO)
    command = [sys.executable, str(script), str(PROJECT), str(model.directory), str(said)]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_the_same(json.loads(said.read_text()), model.said)
