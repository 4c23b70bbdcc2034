"""A folder on an SFTP server (`sftp://user@host:port/path`): files are claimed by name and hash as those of a local folder.

A file is copied into a private temporary folder for as long as it is read. After a restart each file is fetched once, for only its content
says whether it is known. The server must be known (a known_hosts file): nothing is trusted at first sight.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncssh

from bus.errors import ConfigurationError, Problem
from bus.ingest.files import RECEIPTS, Facts, FolderAway, Seen, examine, is_ours, unusable_file
from bus.ingest.folder import ReceiptsRefused
from bus.ingest.source import Reason

SCHEME = "sftp://"
_CONNECT_SECONDS = 15
#: A line that is silent for three of these is taken for lost.
_KEEPALIVE_SECONDS = 10
_REFUSED = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPFailure, asyncssh.SFTPNoSuchFile, asyncssh.SFTPOpUnsupported, asyncssh.SFTPWriteProtect,
            asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SftpAddress:
    """A folder on a server, and how to get there."""

    host: str
    port: int
    user: str
    path: str
    known_hosts: Path
    key_file: Path | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.user}@{self.host}:{self.port}{self.path}"

    @classmethod
    def of(cls, agency: str, setting: str, values: Mapping[str, str]) -> SftpAddress:
        """The address in a setting, with `<setting>_known_hosts` and `<setting>_key_file` or `<setting>_password` beside it.

        Raises `ConfigurationError` naming every setting that is wrong or missing.
        """
        names = {name: f"BUS_{agency}__{setting}{name}".upper() for name in ("", "_known_hosts", "_key_file", "_password")}
        problems = []
        parts = urlsplit(values[setting])
        try:
            port = parts.port or 22
        except ValueError:
            port = 0
        if not parts.hostname or not parts.username or not parts.path.strip("/") or not port or parts.query or parts.fragment:
            problems.append(Problem(names[""], "is not of the form sftp://user@host:port/path"))
        if parts.password is not None:
            problems.append(Problem(names[""], f"must not hold the password: set {names['_password']}"))
        known_hosts, key_file = (values.get(f"{setting}{name}") for name in ("_known_hosts", "_key_file"))
        for name, value in (("_known_hosts", known_hosts), ("_key_file", key_file)):
            if value is not None and not Path(value).is_file():
                problems.append(Problem(names[name], f"there is no file {value}"))
        if known_hosts is None:
            problems.append(Problem(names["_known_hosts"], "is missing: the file with the server's host key (ssh-keyscan)"))
        password = values.get(f"{setting}_password")
        if key_file is None and password is None:
            problems.append(Problem(names["_key_file"], f"is missing: the private key, or {names['_password']}"))
        if problems or known_hosts is None:
            raise ConfigurationError(problems)
        path = unquote(parts.path).rstrip("/")
        return cls(
            parts.hostname or "",
            port,
            unquote(parts.username or ""),
            path,
            Path(known_hosts),
            Path(key_file) if key_file else None,
            password,
        )


class SftpFolder:
    """That folder, over one connection that is made again when it is lost."""

    def __init__(self, address: SftpAddress) -> None:
        self._address = address
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._copies: tempfile.TemporaryDirectory[str] | None = None

    def __str__(self) -> str:
        return str(self._address)

    async def exists(self) -> bool:
        async with self._sftp() as client:
            return await client.isdir(self._address.path)

    async def list(self, patterns: Sequence[str]) -> list[Seen]:
        found = []
        try:
            async with self._sftp() as client:
                async for entry in client.scandir(self._address.path):
                    name = _text(entry.filename)
                    if is_ours(name, patterns):
                        found.append(self._seen(name, entry.attrs))
        except _REFUSED as error:
            raise FolderAway(f"folder {self} cannot be listed: {error.reason}") from error
        return sorted(found, key=lambda seen: (seen.mtime_ns, seen.name))

    async def examined(self, seen: Seen, *, encoding: str | None) -> Facts:
        if not seen.regular:
            return examine(seen)
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="simpul-sftp-")  # only this user may enter it
        name = hashlib.sha256(f"{seen.name}\0{seen.size}\0{seen.mtime_ns}".encode("utf-8", "surrogateescape")).hexdigest()
        copy = Path(self._copies.name) / name
        try:
            async with self._sftp() as client:
                await client.get(self._remote(seen.name), str(copy))
        except _REFUSED as error:
            copy.unlink(missing_ok=True)
            return unusable_file(seen, Reason("unreadable", shape=type(error).__name__, allowed="izin baca/read permission"))
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        info = copy.stat()
        return await asyncio.to_thread(examine, seen, encoding=encoding, copy=Seen(copy, info.st_size, info.st_mtime_ns))

    async def still(self, seen: Seen) -> bool:
        try:
            async with self._sftp() as client:
                return self._seen(seen.name, await client.stat(self._remote(seen.name))).same(seen)
        except _REFUSED:
            return False

    def release(self, facts: Facts) -> None:
        if facts.copy is not None:
            facts.copy.path.unlink(missing_ok=True)

    async def has_receipt(self, name: str) -> bool:
        async with self._sftp() as client:
            return await client.isfile(self._remote(RECEIPTS, name))

    async def put_receipt(self, name: str, content: bytes) -> None:
        folder, half, whole = self._remote(RECEIPTS), self._remote(RECEIPTS, f".{name}.part"), self._remote(RECEIPTS, name)
        try:
            async with self._sftp() as client:
                if not await client.isdir(folder):
                    await client.mkdir(folder)
                async with client.open(half, "wb") as stream:
                    await stream.write(content)
                await _replace(client, half, whole)
        except _REFUSED as error:
            raise ReceiptsRefused(f"{self._address}/{RECEIPTS}: {error.reason}") from error

    async def close(self) -> None:
        await self._disconnect()
        if self._copies is not None:
            self._copies.cleanup()
            self._copies = None

    @asynccontextmanager
    async def _sftp(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """The client, connected. What the server refuses passes through; any other trouble becomes `FolderAway`, and the line is left."""
        try:
            if self._client is None:
                self._client = await self._connect()
            yield self._client
        except _REFUSED:
            raise
        except asyncssh.HostKeyNotVerifiable as error:
            raise ConfigurationError(
                [
                    Problem(
                        str(self._address.known_hosts), f"the key of {self._address.host} is not the one that it shows; {self} is not read"
                    )
                ]
            ) from error
        except ValueError as error:  # what asyncssh says of a key file
            raise ConfigurationError(
                [Problem(str(self._address.key_file), f"is no private key that can be used: {type(error).__name__}")]
            ) from error
        except (OSError, asyncssh.Error) as error:
            await self._disconnect()
            raise FolderAway(f"{self} is not to be reached: {type(error).__name__}: {error}") from error
        except asyncio.CancelledError:
            await self._disconnect()
            raise

    async def _connect(self) -> asyncssh.SFTPClient:
        address = self._address
        self._connection = await asyncssh.connect(
            address.host, address.port, username=address.user, password=address.password, known_hosts=str(address.known_hosts),
            client_keys=[str(address.key_file)] if address.key_file else None, agent_path=None, config=None,
            connect_timeout=_CONNECT_SECONDS, keepalive_interval=_KEEPALIVE_SECONDS,
        )  # fmt: skip
        return await self._connection.start_sftp_client()

    async def _disconnect(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
            with contextlib.suppress(OSError, asyncssh.Error):
                await connection.wait_closed()

    def _remote(self, *names: str) -> str:
        return "/".join((self._address.path, *names))

    def _seen(self, name: str, attrs: asyncssh.SFTPAttrs) -> Seen:
        regular = attrs.permissions is None or stat.S_ISREG(attrs.permissions)
        moment = (attrs.mtime or 0) * 1_000_000_000 + (attrs.mtime_ns or 0)
        return Seen(Path(self._remote(name)), attrs.size or 0, moment, regular)


async def _replace(client: asyncssh.SFTPClient, half: str, whole: str) -> None:
    try:
        await client.posix_rename(half, whole)
    except asyncssh.SFTPOpUnsupported:
        if await client.exists(whole):
            await client.remove(whole)
        await client.rename(half, whole)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
