"""A SLURM of its own on one machine, with nodes that answer to other host names than the machine does; gone when its context ends.

From a shell: `python tests/slurm/cluster.py [--accounting] [--nodes 2] -- COMMAND ...` runs a command in it and ends as the command does.

The commands of SLURM read /etc/slurm, so everything runs in a mount namespace in which that is a folder of the cluster's: several can
stand beside each other and beside the machine's own. A node is a process namespace with its own host name and its own process numbers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))  # this file is a command too

from tests.slurm.configuration import configure, listens  # noqa: E402

TOOLS = ("slurmctld", "slurmd", "sbatch", "munged", "unshare", "nsenter", "setpriv")
ACCOUNTING_TOOLS = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where daemons are
PATIENCE = 60.0  # seconds for a daemon to answer


def lacking(accounting: bool = False) -> str:
    """Why no cluster can be started here, or nothing."""
    if os.geteuid():
        return "only root may start a SLURM with nodes of other host names"
    missing = [tool for tool in TOOLS + ACCOUNTING_TOOLS * accounting if not shutil.which(tool, path=PATH)]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client munge{' slurmdbd mariadb-server' * accounting})"
    tried = subprocess.run(["unshare", "--mount", "--uts", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    return f"no namespaces can be made here ({tried.stderr.strip()})" if tried.returncode else ""


@dataclass
class Cluster:
    """A context in which a SLURM is up: `command` gives what to start to be on its login node."""

    accounting: bool = False
    nodes: int = 1
    folder: Path = field(default=Path(), init=False)  # configuration, logs and state
    keeper: subprocess.Popen[bytes] | None = field(default=None, init=False)  # the process that holds the mount namespace

    def __enter__(self) -> Cluster:
        if reason := lacking(self.accounting):
            raise RuntimeError(f"no SLURM can be started: {reason}")
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True)))
            self._processes: list[subprocess.Popen[bytes]] = []
            stack.callback(self._stop)
            self._names = [f"node{number + 1}" for number in range(self.nodes)]
            self._database = configure(self.folder, self._names, self.accounting)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self, *arguments: str, folder: Path | None = None) -> list[str]:
        """What to start to run a command on the login node in a folder, by default this one; the process is the command's own."""
        assert self.keeper is not None
        enter = ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "sh", "-c", 'cd "$0" && exec "$@"']
        return [*enter, str(folder or Path.cwd()), *arguments]

    def ask(self, *arguments: str) -> str:
        """What a command on the login node prints, such as `squeue -h`; raises a CalledProcessError where it fails."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=True).stdout

    def wait_for_end(self, seconds: float = PATIENCE) -> None:
        """Wait until no job is pending or running; raises a TimeoutError."""
        self._until("no job is left", lambda: not self.ask("squeue", "-h"), seconds)

    def _start(self) -> None:
        Path("/etc/slurm").mkdir(exist_ok=True)
        hold = f"mount --bind {self.folder}/etc /etc/slurm && touch {self.folder}/mounted && exec sleep infinity"
        self.keeper = self._spawn("keeper", ["unshare", "--mount", "--propagation", "private", "sh", "-c", hold])
        self._until("the folder of the configuration is mounted", (self.folder / "mounted").exists)
        munge = ["munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", f"--key-file={self.folder}/munge.key"]
        munge += [f"--log-file={self.folder}/munged.log", f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munged.seed"]
        self._daemon("munged", *munge)
        self._until("munge answers", (self.folder / "munge.socket").exists)
        if self.accounting:
            self._start_accounting()
        self._daemon("slurmctld", "slurmctld", "-D", "-i")
        for name in self._names:
            node = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
            self._daemon(name, *node, f"hostname {name} && slurmd -D & wait")  # the shell collects what jobs leave behind, as an init does
        self._until("all nodes are idle", lambda: self._answers("sinfo", "-h", "-t", "idle", "-o", "%D") == str(self.nodes))

    def _start_accounting(self) -> None:
        database = ["--no-defaults", "--user=root", f"--datadir={self.folder}/database"]
        subprocess.run(["mariadb-install-db", *database], capture_output=True, check=True)
        listen = [f"--port={self._database}", "--bind-address=127.0.0.1", f"--socket={self.folder}/database.socket"]
        brief = ["--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0", f"--pid-file={self.folder}/mariadbd.pid"]
        self._daemon("mariadbd", "mariadbd", *database, *listen, *brief)
        self._until("the database answers", lambda: listens(self._database))
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._until("the accounts can be read", lambda: self._answers("sacctmgr", "-i", "add", "cluster", "drank") is not None)
        self.ask("sacctmgr", "-i", "add", "account", "lab")
        self.ask("sacctmgr", "-i", "add", "user", "root", "account=lab")

    def _daemon(self, name: str, *command: str) -> None:
        self._spawn(name, self.command(*command))

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process that is killed with this one, whatever kills this one, and prints into a file of the folder."""
        quiet = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")} | {"PATH": PATH}
        with (self.folder / f"{name}.out").open("w") as out:
            mortal = ["setpriv", "--pdeathsig", "KILL", *command]
            process = subprocess.Popen(mortal, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=quiet, start_new_session=True)
        self._processes.append(process)
        return process

    def _stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait()

    def _answers(self, *command: str) -> str | None:
        done = subprocess.run(self.command(*command), capture_output=True, text=True, check=False)
        return None if done.returncode else done.stdout.strip()

    def _until(self, what: str, is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > end:
                logs = [file for kind in ("log", "out") for file in self.folder.glob(f"*.{kind}")]
                told = [f"{log.name}:\n{log.read_text('utf-8', 'replace')[-2000:]}" for log in logs]
                raise TimeoutError(f"after {seconds:.0f} s it is not so that {what}\n" + "\n".join(told))
            time.sleep(0.1)


def main() -> int:
    """Run a command in a cluster; its exit status."""
    parser = argparse.ArgumentParser(description="Run a command on a SLURM of its own.")
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd and a database")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with Cluster(asked.accounting, asked.nodes) as cluster:
        confined = ["unshare", "--pid", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh", *asked.command]
        return subprocess.run(["setpriv", "--pdeathsig", "KILL", *cluster.command(*confined)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
