"""`drank serve` is vLLM's server: a client of the OpenAI protocol is answered, and what cannot be served is refused at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.conftest import NEW, PROMPTS, Model

DRANK = (sys.executable, "-m", "drank")


@pytest.fixture(scope="module")
def address(models: dict[tuple[str, str, str], Model], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a small model on the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    directory = models["llama", "pivoted", "shared"].directory
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "100", "--skip-tokenizer-init", "--served-model-name", "tiny"]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with log.open("wb") as file:
        command = [*DRANK, "serve", str(directory), "--host", "127.0.0.1", "--port", str(port), *options]
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
    try:
        for _ in range(240):
            if server.poll() is not None:
                pytest.fail(f"the server ended: {log.read_text()[-3000:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.5)
        else:
            pytest.fail(f"the server is not there after two minutes: {log.read_text()[-3000:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)


def test_a_client_is_answered_with_the_tokens_of_transformers(models: dict[tuple[str, str, str], Model], address: str) -> None:
    import openai

    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=60)
    assert [model.id for model in client.models.list()] == ["tiny"]
    for prompt, (tokens, _) in zip(PROMPTS, models["llama", "pivoted", "shared"].said, strict=True):
        more = {"ignore_eos": True, "detokenize": False, "return_token_ids": True}
        answer = client.completions.create(model="tiny", prompt=prompt, max_tokens=NEW, temperature=0, extra_body=more)
        assert answer.choices[0].token_ids == tokens


@pytest.mark.parametrize(
    ("change", "named"), [("remove", "config.json"), ("mixture", "--to dense"), ("damage", "missing"), ("list", "no keys and values")]
)
def test_what_cannot_be_served_is_refused_before_vllm_starts(
    models: dict[tuple[str, str, str], Model], tmp_path: Path, change: str, named: str
) -> None:
    source = models["llama", "factors", "shared"].directory
    config = json.loads((source / "config.json").read_text())
    if change == "mixture":
        config["model_type"] = "mixtral"
    if change != "remove":
        (tmp_path / "config.json").write_text(json.dumps([] if change == "list" else config))
    begun = time.monotonic()
    done = subprocess.run([*DRANK, "serve", str(tmp_path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and named in done.stderr and "Traceback" not in done.stderr
    assert time.monotonic() - begun < 60
