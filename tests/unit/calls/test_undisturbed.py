"""A call leaves the process of its caller as it found it: how products are rounded, by whichever of torch's interfaces it was set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from drank.calls.undisturbed import undisturbed
from drank.runtime.device import prepare

MATMUL, CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn


@pytest.fixture(autouse=True)
def _as_torch_begins() -> Iterator[None]:
    yield
    MATMUL.allow_tf32 = False
    MATMUL.fp32_precision = "none"
    CUDNN.allow_tf32 = True


def steps() -> None:
    """What every step does first."""
    prepare({"device": "cpu"}, torch.get_num_threads())
    assert MATMUL.fp32_precision != "tf32"


def test_what_the_new_interface_set_is_as_it_was() -> None:
    MATMUL.fp32_precision = "tf32"
    CUDNN.conv.fp32_precision = "ieee"
    with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
        _ = MATMUL.allow_tf32
    with undisturbed():
        steps()
    assert (MATMUL.fp32_precision, CUDNN.conv.fp32_precision) == ("tf32", "ieee")
    with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
        _ = MATMUL.allow_tf32


@pytest.mark.parametrize("allowed", [(True, True), (True, False), (False, True), (False, False)])
def test_what_the_old_interface_set_is_as_it_was(allowed: tuple[bool, bool]) -> None:
    MATMUL.allow_tf32, CUDNN.allow_tf32 = allowed
    before = [MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision]
    with undisturbed():
        steps()
    assert (MATMUL.allow_tf32, CUDNN.allow_tf32) == allowed
    assert [MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision] == before


def test_what_nobody_set_is_as_it_was() -> None:
    before = [MATMUL.fp32_precision, CUDNN.allow_tf32]
    with undisturbed():
        steps()
    assert [MATMUL.fp32_precision, CUDNN.allow_tf32] == before
