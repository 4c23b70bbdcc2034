"""Database servers on this machine: started in folders of their own, killed as a whole, started again with what they had."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pymysql

from bus.errors import ConfigurationError, Problem, TransientError
from bus.kafka.process import LOCALHOST, free_port

_READY_SECONDS = 60.0
#: Of servers that only this machine reaches, and that are gone when whoever started them is.
PASSWORD = "rahasia"  # noqa: S105


class Server(ABC):
    """One server on 127.0.0.1, with a port that stays the same."""

    def __init__(self, binaries: Path, account: str) -> None:
        self.binaries = binaries
        self.port = free_port()
        # pytest's folders are closed to other accounts, and as root a server needs one
        self.folder = Path(tempfile.mkdtemp(prefix="simpul-server-"))
        self.data = self.folder / "data"
        self._become: list[str] = []
        if os.geteuid() == 0:
            entry = pwd.getpwnam(account)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self._become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        self._process: subprocess.Popen[bytes] | None = None
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the empty data folder."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is run."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers."""

    def call(self, *command: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own command line
            [*self._become, *command], capture_output=True, text=True, cwd=self.folder, check=False
        )
        if done.returncode != 0:
            raise ConfigurationError([Problem(Path(command[0]).name, (done.stdout + done.stderr)[-2000:])])

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._become, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TransientError(f"{Path(self.command()[0]).name} is not ready: {self.log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """`kill -9`, with all of its processes; returns when they are gone."""
        if self._process is None:
            return
        group = self._process.pid
        os.killpg(group, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(group, 0)
                time.sleep(0.01)

    def restart(self) -> None:
        self.kill()
        self.start()

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]


class PostgresServer(Server):
    """PostgreSQL with logical decoding. What is killed is the process, not the machine, so nothing needs to reach the disk."""

    def prepare(self) -> None:
        password = self.folder / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o644)
        self.call(
            str(self.binaries / "initdb"), "-D", str(self.data), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        options = {
            "port": self.port, "listen_addresses": LOCALHOST, "unix_socket_directories": self.folder, "wal_level": "logical", "fsync": "off",
            "max_wal_size": "256MB", "timezone": "Europe/Athens",
        }  # fmt: skip
        return [str(self.binaries / "postgres"), "-D", str(self.data), *(f"--{name}={value}" for name, value in options.items())]

    def ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def url(self, database: str = "postgres", user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@{LOCALHOST}:{self.port}/{database}"


class MariaServer(Server):
    """MariaDB."""

    def prepare(self) -> None:
        install = shutil.which("mariadb-install-db") or "mariadb-install-db"
        self.call(install, "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db")
        init = self.folder / "init.sql"
        init.write_text(
            f"CREATE USER IF NOT EXISTS simpul@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO simpul@'127.0.0.1';\n"
        )

    def command(self) -> Sequence[str]:
        return [
            str(self.binaries / "mariadbd"), "--no-defaults", f"--datadir={self.data}", f"--port={self.port}", f"--bind-address={LOCALHOST}",
            f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'init.sql'}",
            "--skip-name-resolve", "--innodb-buffer-pool-size=64M", "--default-time-zone=+02:00",
        ]  # fmt: skip

    def ready(self) -> bool:
        try:
            self.connect("").close()
        except pymysql.err.OperationalError:
            return False
        return True

    def connect(self, database: str) -> pymysql.Connection:
        return pymysql.connect(
            host=LOCALHOST, port=self.port, user="simpul", password=PASSWORD, database=database or None, autocommit=True, connect_timeout=5
        )

    def url(self, database: str, user: str = "simpul", password: str = PASSWORD) -> str:
        return f"mysql://{user}:{password}@{LOCALHOST}:{self.port}/{database}"


def postgres_binaries() -> Path | None:
    """The newest installed PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def maria_binaries() -> Path | None:
    """Where MariaDB's server is."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found).parent if found else None
