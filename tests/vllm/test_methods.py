"""What each method of the default run makes of a shipped model, vLLM serves; what some make of one with grouped queries too."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

import drank
from drank.methods import METHODS
from drank.models.checkpoint import load_model
from tests.vllm.conftest import assert_the_same, said_by, served

CONFIGURED = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text("utf-8"))["methods"]
COMPRESSING = {name: options for name, options in CONFIGURED.items() if METHODS[options.get("base", name)].compresses}


CASES = [*(("docs-mha", name) for name in COMPRESSING), *(("docs-gqa", name) for name in ("svd-llm", "d-rank", "l-rank"))]


@pytest.mark.parametrize(("model", "name"), CASES)
def test_it_says_what_transformers_says(model: str, name: str, tmp_path: Path) -> None:
    options = dict(COMPRESSING[name])
    text = tmp_path / "text.txt"
    text.write_text(Path(argparse.__file__).read_text("utf-8"), "utf-8")
    drank.compress(model, options.pop("base", name), 0.4, str(text), tmp_path / "model", windows=8, length=64, **options)
    assert_the_same(served(tmp_path / "model"), said_by(load_model(tmp_path / "model")))
