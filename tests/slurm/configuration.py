"""What the daemons of a SLURM of one's own are told: one machine, no systemd, no cgroups, nothing outside one folder."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

SLURM_CONF = """
ClusterName=drank
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
# no systemd and no cgroups: jobs are found in /proc
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# nodes may declare more than the machine has
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
GresTypes=gpu
{nodes}PartitionName=all Nodes=ALL Default=YES DefMemPerCPU=1000 MaxTime=INFINITE
"""
NODE = "NodeName={name} NodeAddr=127.0.0.1 Port={port} CPUs=8 CoresPerSocket=8 RealMemory=64000 Gres=gpu:2\n"
ACCOUNTED = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={storage}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
"""
GRES_CONF = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
UNACCOUNTED = "\nAccountingStorageType=accounting_storage/none\n"
SLURMDBD_CONF = """
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={storage}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=root
"""


def configure(folder: Path, nodes: list[str], accounting: bool) -> int:
    """Write the configuration and key of a cluster and make the places of its state; the port that its database is to listen on."""
    controller, storage, database, *ports = free_ports(3 + len(nodes))
    places = {"host": socket.gethostname(), "folder": folder, "controller": controller, "storage": storage, "database": database}
    etc = folder / "etc"
    for made in (etc, folder / "state", folder / "spool"):
        made.mkdir()
    own = "".join(NODE.format(name=name, port=port) for name, port in zip(nodes, ports, strict=True))
    (etc / "slurm.conf").write_text((SLURM_CONF + (ACCOUNTED if accounting else UNACCOUNTED)).format(**places, nodes=own))
    (etc / "gres.conf").write_text(GRES_CONF)
    (etc / "slurmdbd.conf").write_text(SLURMDBD_CONF.format(**places))
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    for secret in (etc / "slurmdbd.conf", folder / "munge.key"):
        secret.chmod(0o600)  # or their readers refuse them
    folder.chmod(0o755)
    return database


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on, below those the system gives to clients."""
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        if port not in found and not listens(port):
            found.append(port)
    return found


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
