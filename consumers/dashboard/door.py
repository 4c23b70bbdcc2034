"""Who asks: a key's holder, a ticket's, or somebody without either, whose role is that of the installation (ADR 0029)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from starlette.datastructures import Headers

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.ops.apikeys import Holder, Role, digest_of, read_keys, read_secret
from bus.settings import GatewaySettings
from consumers.dashboard.limits import name_of
from consumers.dashboard.refusal import Refusal

_log = structlog.get_logger(__name__)

TICKET_SECONDS = 60
#: Set by whatever stands between: then the request is not this machine's own, wherever it comes from.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. `name` is that of the key's holder, empty without one; `label` is what limits are counted by."""

    name: str
    role: Role
    label: str


class Door:
    """Tells who asks. Keys are read again when their file changes; a file with a fault leaves those that were read before."""

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        """Raises `ConfigurationError` for a faulty file of keys, and for an address on which nobody may see more than the public."""
        self._clock = clock
        self._path = settings.keys_file
        self._mark: tuple[int, int] | None = None
        self._keys: Mapping[str, Holder] = {}
        self._secret = secrets.token_bytes(32)
        loopback = _is_loopback(settings.host)
        implied = Role.RESTRICTED if loopback and self._path is None else Role.PUBLIC
        self.anonymous = Role(settings.anonymous) if settings.anonymous else implied
        if self.anonymous is not Role.PUBLIC and not loopback:
            what = f"{self.anonymous} for everybody is allowed on a loopback address only; BUS_GATEWAY__HOST is {settings.host}"
            raise ConfigurationError([Problem("BUS_GATEWAY__ANONYMOUS", what)])
        if self._path is not None:
            self._read(self._path)

    @property
    def roles(self) -> Collection[Role]:
        """The roles that a client may come to have."""
        return set(Role) if self._path is not None else {self.anonymous, Role.PUBLIC}

    def announce(self) -> None:
        """Say in the log who sees what."""
        if self.anonymous is not Role.PUBLIC:
            hint = "because it listens on a loopback address; asked through a proxy, or by another host name, it shows what is public"
            _log.warning("gateway.open", anonymous=str(self.anonymous), hint=hint)
        else:
            _log.info("gateway.closed", anonymous="public", keys=len(self._keys))

    def refresh(self) -> None:
        """Read the keys again if their file has changed."""
        if self._path is None:
            return
        try:
            self._read(self._path)
        except ConfigurationError as error:
            _log.error("gateway.keys_unreadable", problem=str(error.problems[0]), hint="the keys that were read before stay in force")

    def client(self, headers: Headers, address: str, *, ticket: str = "") -> Client:
        """Who asks. Raises `Refusal` (401) for a key or ticket that is none: nobody falls back to a lesser role without knowing."""
        if "authorization" in headers or "x-api-key" in headers:
            holder = self._keys.get(digest_of(_key_in(headers)))
            if holder is None:
                raise Refusal(401, "Unknown key", "the key is not, or no longer, known here")
            return _named(holder)
        if ticket:
            return self._holder_of(ticket)
        role = self.anonymous if _is_direct(headers) else Role.PUBLIC
        return Client("", role, f"{role} {name_of(address)}")

    def still(self, client: Client) -> bool:
        """Whether the client's key is still in force."""
        return not client.name or Holder(client.name, client.role) in self._keys.values()

    def ticket(self, client: Client) -> str:
        """What opens a stream in the client's name within `TICKET_SECONDS`, at every gateway with the same secret."""
        ends = int(self._clock.now().timestamp()) + TICKET_SECONDS
        body = base64.urlsafe_b64encode(json.dumps([client.name, client.role, ends]).encode()).decode().rstrip("=")
        return f"{body}.{self._sign(body)}"

    def _holder_of(self, ticket: str) -> Client:
        body, _, signature = ticket.partition(".")
        try:
            if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
                raise ValueError("signature")
            name, role, ends = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except ValueError as error:
            raise Refusal(401, "Unknown ticket", "the ticket is not of this gateway; POST /v1/tickets gives one") from error
        client = _named(Holder(str(name), Role(role)))
        if self._clock.now().timestamp() > ends or not self.still(client):
            raise Refusal(401, "Ticket over", f"a ticket opens a stream within {TICKET_SECONDS} s; POST /v1/tickets gives another")
        return client

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, b"simpul ticket " + body.encode(), hashlib.sha256).hexdigest()

    def _read(self, path: Path) -> None:
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            mark = None
        if mark is not None and mark == self._mark:
            return
        self._mark = mark
        self._keys = read_keys(path)
        self._secret = read_secret(path) or self._secret


def _named(holder: Holder) -> Client:
    return Client(holder.client, holder.role, f"key {holder.client}")


def _key_in(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise Refusal(401, "Unknown scheme", "Authorization takes Bearer and an API key", received=scheme, allowed=["Bearer"])
    return token.strip() or headers.get("x-api-key", "").strip()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_direct(headers: Headers) -> bool:
    """Whether the request was made on this machine, to this machine's name: not through a proxy, nor by a page that rebinds its own name."""
    if any(name in headers for name in _FORWARDED):
        return False
    host = headers.get("host", "").lower()
    return _is_loopback(host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0])
