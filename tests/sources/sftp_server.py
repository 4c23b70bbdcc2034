"""A real OpenSSH server of one's own, and a bad line to it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

LOCALHOST = "127.0.0.1"


def sshd_binary() -> str | None:
    """Where sshd is; None when it is not installed."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as found:
        found.bind((LOCALHOST, 0))
        return int(found.getsockname()[1])


class SftpServer:
    """`sshd` on its own port with its own keys; only its one user may come, and only for files."""

    def __init__(self, base: Path, *, read_only: bool = False) -> None:
        base.mkdir(parents=True, exist_ok=True)
        self.base, self.port, self.user = base, free_port(), getpass.getuser()
        self.key, host = base / "client", base / "host"
        for path in (self.key, host):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(str(path))
            key.write_public_key(f"{path}.pub")
            path.chmod(0o600)
        (base / "authorized").write_text((base / "client.pub").read_text())
        self.host_key = (base / "host.pub").read_text().strip()
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists
        (base / "config").write_text(
            f"Port {self.port}\nListenAddress {LOCALHOST}\nHostKey {host}\nAuthorizedKeysFile {base / 'authorized'}\nPidFile none\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 50\n"
            f"ForceCommand internal-sftp{' -R' if read_only else ''}\nSubsystem sftp internal-sftp\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = sshd_binary()
        assert binary is not None
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen([binary, "-D", "-e", "-f", str(self.base / "config")], stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((LOCALHOST, self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError((self.base / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def known_hosts(self, port: int | None = None, *, key: str | None = None) -> Path:
        """A known_hosts file that knows the server under that port."""
        path = self.base / f"known_hosts_{port}"
        path.write_text(f"[{LOCALHOST}]:{port or self.port} {key or self.host_key}\n")
        return path

    def settings(self, agency: str, folder: Path, *, port: int | None = None) -> dict[str, str]:
        """The variables with which an agency's connector reads that folder."""
        name = f"BUS_{agency}__FOLDER".upper()
        return {
            name: f"sftp://{self.user}@{LOCALHOST}:{port or self.port}{folder}",
            f"{name}_KEY_FILE": str(self.key),
            f"{name}_KNOWN_HOSTS": str(self.known_hosts(port)),
        }


class BadLine:
    """A line to a server that breaks after so many bytes from it, as often as it is told to."""

    def __init__(self, port: int, *, after: int, times: int) -> None:
        self._target, self._after, self.left = port, after, times
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[BadLine]:
        server = await asyncio.start_server(self._serve, LOCALHOST, 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        inward, outward = await asyncio.open_connection(LOCALHOST, self._target)
        breaks = self.left > 0
        ways = [
            asyncio.create_task(_pass(reader, outward, None)),
            asyncio.create_task(_pass(inward, writer, self._after if breaks else None)),
        ]  # fmt: skip
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.left -= breaks
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, outward):
            end.transport.abort()
            with contextlib.suppress(OSError):
                await end.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while (block := await reader.read(1 << 14)) and (most is None or passed < most):
            passed += len(block)
            writer.write(block)
            await writer.drain()
