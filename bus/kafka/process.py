"""A broker as a child process: started in a session of its own, its output in a file, ended in any way a test needs."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bus.errors import BusError, ConfigurationError, Problem, TransientError

LOCALHOST = "127.0.0.1"
#: ApiVersions (key 18), version 0, correlation id 1, no client id: any broker answers it, and only when it serves requests.
_PROBE = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def free_port() -> int:
    """A TCP port of the local machine that nothing listens on just now."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        return int(listener.getsockname()[1])


def answers(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether a Kafka broker serves requests on that local port."""
    try:
        with socket.create_connection((LOCALHOST, port), timeout=timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            connection.sendall(_PROBE)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


def taken(port: int) -> bool:
    """Whether something listens on that local port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before that linger are nobody's
        try:
            listener.bind((LOCALHOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
        return False


class BrokerProcess:
    """One broker process on 127.0.0.1. The subclass says what is run; a port, once chosen, stays the same over restarts."""

    #: What its messages call it.
    name = "broker"

    def __init__(self, directory: Path, port: int = 0) -> None:
        """`directory` takes the log file (and what the broker stores); `port` 0 picks a free one."""
        self.directory = directory
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOCALHOST}:{self.port}"

    @property
    def log_path(self) -> Path:
        """The file with everything the process said, over all its starts."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The running process's id. Raises `BusError` when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise BusError(f"the {self.name} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str]:
        return {}

    def start(self, timeout_seconds: float = 120.0) -> None:
        """Start and wait until it serves requests. Raises `TransientError` with the end of its log when it ends or is not ready in time, and
        `ConfigurationError` when its port is taken."""
        if self.running:
            return
        if taken(self.port):
            what = f"is taken: another program listens on {self.bootstrap_servers}, perhaps a broker that runs already; choose another port"
            raise ConfigurationError([Problem(f"port {self.port}", what)])
        self.directory.mkdir(parents=True, exist_ok=True)
        command = self._command()
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C reaches the bus first, which stops its clients and then the broker.
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **self._environment()},
            )
        try:
            self.wait_ready(timeout_seconds)
        except BaseException:
            self.kill()
            raise

    def wait_ready(self, timeout_seconds: float = 120.0) -> None:
        """Wait until it serves requests."""
        deadline = time.monotonic() + timeout_seconds
        while not answers(self.port):
            if not self.running:
                code = self._process.returncode if self._process else None
                raise TransientError(f"the {self.name} ended with code {code}; its log {self.log_path} ends:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise TransientError(
                    f"the {self.name} was not ready within {timeout_seconds:g} s; its log {self.log_path} ends:\n{self.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """End it in order (SIGTERM), or by force when that takes too long."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash does."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, timeout_seconds: float = 120.0) -> None:
        """Start it anew on the same port and directory, whether or not it still runs."""
        self.stop()
        self.start(timeout_seconds)

    def wait(self) -> int:
        """Wait until the process ends; its exit code."""
        return self._process.wait() if self._process else 0

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
