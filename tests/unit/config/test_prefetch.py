"""`prefetch` without a network says in one line what is not there, and takes what the cache has for had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = "import json, sys; from drank.config.prefetch import prefetch_alone; prefetch_alone(json.loads(sys.argv[1]))"
CONFIG = {
    "models": {"mine": {"hub": "org/model", "methods": {}}},
    "methods": {"theirs": {"checkpoint": {"hub": "org/other"}}},
    "corpora": {"wiki": {"hub": "org/text", "splits": {"test": "test"}}},
    "tasks": {},
    "zeroshot": {"tasks": []},
}


@pytest.fixture
def fetched(tmp_path):
    """What fetching a configuration says where nothing answers, with a cache of its own."""

    def run(config):
        here = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
            here.pop(name, None)
        return subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(config)], cwd=ROOT, env=here, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def test_what_is_not_there_is_one_line(fetched):
    told = fetched(CONFIG).stderr.strip()
    last = told.splitlines()[-1]
    assert last.startswith("drank.config.prefetch.FetchError: no network: http://127.0.0.1:9 cannot be reached from here (")
    assert "the local cache lacks model mine, checkpoint theirs, corpus wiki; run `prefetch` where there is a network" in last
    assert "during handling" not in told.lower() and "Retrying" not in told


def test_what_the_cache_has_is_there(fetched, tmp_path):
    snapshot = tmp_path / "hub" / "models--org--model" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (tmp_path / "hub" / "models--org--model" / "refs").mkdir()
    (tmp_path / "hub" / "models--org--model" / "refs" / "main").write_text("a" * 40)
    done = fetched({**CONFIG, "methods": {}, "corpora": {}})
    assert done.returncode == 0, done.stderr
