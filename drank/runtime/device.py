"""Where and how a step computes: device, threads, precision, and no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
"""The environment variables by which the hub clients keep from the network."""


def go_offline() -> None:
    """Keep the hub clients from the network for the rest of this process; only `prefetch` goes there."""
    os.environ |= dict.fromkeys(OFFLINE, "1")
    for name, switch in offline_switches():
        setattr(sys.modules[name], switch, True)


def offline_switches() -> list[tuple[str, str]]:
    """Where the hub clients that are imported have kept what the variables said then, by module and attribute."""
    known = {"huggingface_hub.constants": OFFLINE[:1], "datasets.config": OFFLINE[:2]}
    return [(name, switch) for name, switches in known.items() if name in sys.modules for switch in switches]


def prepare(compute: Mapping[str, Any], threads: int) -> str:
    """The device to compute on, after setting threads, full float32 products (no TF32) and hub clients offline.

    `auto` is the GPU if there is one. Raises ValueError where a GPU is asked for that is not there.
    """
    import torch

    go_offline()
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    wanted = str(compute["device"])
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"compute.device is {wanted}, and torch sees no GPU here; use `auto` or `cpu`, or run where there is one: on a cluster a job "
            "has the GPUs that compute.gpus asks for, which is 0 unless it is set"
        )
    number = wanted.partition(":")[2]
    if number and int(number) >= (there := torch.cuda.device_count()):
        raise ValueError(
            f"compute.device is {wanted}, and torch sees {there} GPU{'s' * (there > 1)} here, the last of them cuda:{there - 1}; name one "
            "of these, or write `cuda`, or let CUDA_VISIBLE_DEVICES show more of them"
        )
    return wanted


def cores() -> int:
    """As many processor cores as this process may keep busy: on a cluster and in a container fewer than the machine has."""
    return max(1, int(min([processors(), *_quotas(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])))


def processors() -> int:
    """The processor cores that this process may run on, whatever share of their time it gets; what else runs on them disturbs it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(groups: Path, mounted: Path) -> Iterator[float]:
    """The limits of processor time, in cores, of the control groups that this process is in, by either version of them.

    In a container `groups` may tell where a group lies outside of it: here it is at the root of what is `mounted` then.
    """
    for line in groups.read_text("utf-8").splitlines() if groups.is_file() else ():
        _, kinds, place = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):
            continue
        root = mounted / "cpu" if kinds else mounted
        own = root / place.lstrip("/")
        for folder in [own, *own.parents][: len(own.parts) - len(root.parts) + 1]:
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if kinds else ("cpu.max",)
            told = " ".join((folder / file).read_text("utf-8") for file in files if (folder / file).is_file()).split()
            if len(told) == 2 and told[0].isdigit():  # neither `max` nor -1, which are no limit
                yield int(told[0]) / int(told[1])


def gpu_name(device: str) -> str | None:
    """The kind of GPU behind `cuda`; None where the device is no GPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_name(device)


def free_memory(device: str) -> int:
    """Bytes that may still be taken where tensors of a device lie: of the GPU, or of the machine (where it does not say, all it has)."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    told = Path("/proc/meminfo")
    lines = told.read_text("utf-8").splitlines() if told.is_file() else []
    available = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return available[0] if available else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
