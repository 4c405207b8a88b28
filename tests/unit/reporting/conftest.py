"""Records of a whole run, made once for each file."""

import pytest

from tests.unit.records_fixture import all_records


@pytest.fixture(scope="module")
def records():
    return all_records()
