"""Models that the tests of compensation and correction compress: measured once for each file."""

from __future__ import annotations

import pytest

from tests.unit.compressed_llama import measured


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """The same with bases shared by two layers, and the last layer alone."""
    return measured(tmp_path_factory.mktemp("paired"), group=2)
