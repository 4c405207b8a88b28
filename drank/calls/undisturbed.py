"""A process that somebody else's program goes on in: steps take it over for a while, and leave it as they found it."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drank.runtime.device import OFFLINE, offline_switches
from drank.runtime.log import QUIET

_ALONE = threading.RLock()
"""Held by the one thread of this process that carries out steps."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """No bars and notices of libraries meanwhile, and the state of the process (threads, hub, TF32) afterwards as it was.

    Nor does the caller's state reach the steps: neither `no_grad` and `inference_mode` nor another dtype by default. Other threads that
    come here wait: they would set the same, and transformers builds one model at a time.
    """
    with _ALONE, _state_kept(), _tf32_kept():
        yield


@contextmanager
def _state_kept() -> Iterator[None]:
    import torch
    from transformers.utils import logging as bars

    variables = {name: os.environ.get(name) for name in (*OFFLINE, *QUIET)}
    switches = {switch: getattr(sys.modules[switch[0]], switch[1]) for switch in offline_switches()}
    for name, quiet in QUIET.items():
        os.environ.setdefault(name, quiet)
    threads, dtype, known = torch.get_num_threads(), torch.get_default_dtype(), "datasets" in sys.modules
    drawn = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    torch.set_default_dtype(torch.float32)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if drawn:
            bars.enable_progress_bar()
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for (name, switch), value in switches.items():
            setattr(sys.modules[name], switch, value)
        if not known and "datasets" in sys.modules:
            _reread(variables)


@contextmanager
def _tf32_kept() -> Iterator[None]:
    """Where products may be rounded, as it was set by either of torch's interfaces: what the new one set the old one may refuse to read."""
    import torch

    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    kinds = (cudnn.conv, cudnn.rnn)
    products, others = _allowed(matmul), _allowed(cudnn)
    precision, precisions = matmul.fp32_precision, [kind.fp32_precision for kind in kinds]
    try:
        yield
    finally:
        matmul.allow_tf32 = precision != "tf32" if products is None else products  # refused: the two differ
        matmul.fp32_precision = precision
        cudnn.allow_tf32 = precisions[0] != "tf32" if others is None else others
        for kind, value in zip(kinds, precisions, strict=True):
            if kind.fp32_precision != value:  # what the old one tells already is not said again by the new one
                kind.fp32_precision = value


def _allowed(backend: Any) -> bool | None:
    """What the old interface says of a backend; None where it refuses, since the new one has set something else."""
    try:
        return bool(backend.allow_tf32)
    except RuntimeError:
        return None


def _reread(variables: Mapping[str, str | None]) -> None:
    """Let `datasets` go by the environment of the caller, not by that of the step which happened to import it first."""
    import datasets
    from huggingface_hub import constants

    own = variables["HF_DATASETS_OFFLINE"]
    datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE if own is None else own.upper() in constants.ENV_VARS_TRUE_VALUES
    datasets.config.HF_DATASETS_OFFLINE = datasets.config.HF_HUB_OFFLINE
    if variables["HF_DATASETS_DISABLE_PROGRESS_BARS"] is None:
        bars: Any = sys.modules["datasets.utils.tqdm"]  # the package has the class under this name
        bars.HF_DATASETS_DISABLE_PROGRESS_BARS = None
        datasets.enable_progress_bars()
