"""The `bus` command as users run it: a process of its own, against a given broker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.settings import ROOT, KafkaSettings

#: More than any run here takes on a busy machine.
DEADLINE_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environ_for(data_dir: Path, broker: KafkaSettings | None = None, *, only: str = "", **more: str) -> dict[str, str]:
    """An environment without the tester's own BUS_ settings; `broker` None lets the command start an embedded one.

    `only`: the one agency that is served, where the others would only cost time.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BUS_")}
    environ |= {"PYTHONPATH": str(ROOT), "BUS_DATA_DIR": str(data_dir), "NO_COLOR": "1", "COLUMNS": "200"}
    environ |= {"BUS_ALERTS__PORT": "0", "BUS_PPID__PORT": "0", **more}
    if only:
        environ["BUS_ONLY_AGENCIES"] = only
    if broker is not None:
        environ["BUS_KAFKA__BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        environ["BUS_KAFKA__EMBEDDED"] = str(broker.embedded).lower()
    return environ


def start_bus(arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `bus <arguments>`; whoever starts it ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "bus", *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def bus(arguments: Sequence[str], environ: Mapping[str, str], *, seconds: float = DEADLINE_SECONDS) -> Ended:
    """Run `bus <arguments>` to its end; past the deadline it is ended, which fails the test."""
    process = start_bus(arguments, environ)
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    return Ended(process.returncode, out, err)


def roles_of(supervisor: int) -> dict[str, int]:
    """Role -> process id of the children of a supervisor that run now; for tests that kill one."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found: dict[str, int] = {}
    for line in listed.splitlines():
        pid, parent, command = line.split(None, 2)
        role = re.search(r"-m bus (?:run )?(\w+)", command)
        if int(parent) == supervisor and role:
            found[role[1]] = int(pid)
    return found
