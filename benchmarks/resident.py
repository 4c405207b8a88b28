"""What all processes of a run hold at once: `python -m benchmarks.resident make real`.

Runs the command and looks every few seconds at the memory of all processes that descend from it: resident pages, of which one that
several processes share counts once in all (Linux's proportional set size). Prints, at the end, the highest sum, when that was, and what
was running then.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

PAUSE = 5
"""Seconds between looks."""


def held(process: psutil.Process) -> tuple[int, str] | None:
    """The bytes of a process and what it runs; None where it has ended."""
    try:
        return process.memory_full_info().pss, " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return None


def main() -> None:
    """Run the command and print the highest sum."""
    started, most, then, running = time.monotonic(), 0, 0.0, []
    with subprocess.Popen(sys.argv[1:]) as command:
        while command.poll() is None:
            time.sleep(PAUSE)
            processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
            found = [one for one in map(held, processes) if one]
            if (together := sum(size for size, _ in found)) > most:
                most, then, running = together, time.monotonic() - started, sorted(found, reverse=True)[:3]
    lines = [f"at most {most / 1e9:.2f} GB together, after {then / 60:.0f} min:"]
    lines += [f"  {size / 1e9:5.2f} GB  {command[:140]}" for size, command in running]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
