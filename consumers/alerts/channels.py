"""The channels of an installation: a TOML file that `BUS_ALERTS__CHANNELS` names. Rules name channels; addresses stand here alone.

[pusdalops]
kind = "email"
to = ["pusdalops@boyolali.go.id"]
language = "id"                  # or "en"
internal = true                  # may be told of excluded and suppressed numbers

[siaga_desa]
kind = "webhook"
url = "https://siaga.example.go.id/v1/alerts"
secret_file = "siaga.key"        # beside this file; signs every body
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, TypeAdapter, ValidationError

from bus.errors import ConfigurationError, Problem
from bus.settings import AlertsSettings
from consumers.alerts.notice import Channel
from consumers.alerts.words import Language

_WHERE = "BUS_ALERTS__CHANNELS"
_SHORTEST_SECRET = 16


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Language = "id"
    internal: bool = False


class Email(_Section):
    """One message to all of `to`."""

    kind: Literal["email"]
    to: list[Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]] = Field(min_length=1)


class Webhook(_Section):
    """One signed POST of JSON. Plain http only to this machine, or where `insecure` says that the network is trusted."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    secret_file: str
    insecure: bool = False
    secret: SecretBytes = Field(SecretBytes(b""), exclude=True)


Declared = Annotated[Email | Webhook, Field(discriminator="kind")]
_DECLARED: TypeAdapter[Email | Webhook] = TypeAdapter(Declared)
_LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def load_channels(settings: AlertsSettings) -> Mapping[str, Email | Webhook]:
    """Every channel by name. Raises `ConfigurationError` with all that is wrong with the file, its secrets and the mail settings."""
    path = settings.channels
    if path is None:
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError([Problem(_WHERE, f"{path} cannot be read: {error.strerror}")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError([Problem(str(path), f"is not TOML in UTF-8: {error}")]) from error
    problems: list[Problem] = []
    found: dict[str, Email | Webhook] = {}
    for name, section in data.items():
        try:
            channel = _DECLARED.validate_python(section)
        except ValidationError as error:
            problems += [_problem(path, name, dict(item)) for item in error.errors()]
            continue
        if isinstance(channel, Webhook):
            problems += [Problem(f"{path}: {name}.{key}", what) for key, what in _wrong_webhook(channel, path)]
            channel = channel.model_copy(update={"secret": SecretBytes(_secret(path, channel) or b"")})
        found[name] = channel
    if any(isinstance(each, Email) for each in found.values()):
        problems += [
            Problem(f"BUS_ALERTS__{name.upper()}", f"is empty, and {path} has a channel of kind email")
            for name in ("smtp_host", "sender")
            if not getattr(settings, name)
        ]
    if problems:
        raise ConfigurationError(problems)
    return found


def told(channels: Mapping[str, Email | Webhook]) -> dict[str, Channel]:
    """The channels as far as it matters for what is said."""
    return {name: Channel(name, channel.internal) for name, channel in channels.items()}


def unknown(recipients: Iterable[str], channels: Mapping[str, Email | Webhook]) -> dict[str, str]:
    """Recipients that rules name and no channel is; each with the names near to it."""
    return {
        name: ", ".join(difflib.get_close_matches(name, channels, n=3, cutoff=0.6)) or "none"
        for name in sorted({*recipients} - channels.keys())
    }


def _secret(path: Path, channel: Webhook) -> bytes | None:
    try:
        return (path.parent / channel.secret_file).read_bytes().strip()
    except OSError:
        return None


def _wrong_webhook(channel: Webhook, path: Path) -> Iterable[tuple[str, str]]:
    secret = _secret(path, channel)
    if secret is None:
        yield "secret_file", f"{path.parent / channel.secret_file} cannot be read"
    elif len(secret) < _SHORTEST_SECRET:
        yield "secret_file", f"holds {len(secret)} bytes; at least {_SHORTEST_SECRET} are needed"
    host = channel.url.rpartition("@")[2] if "@" in channel.url else channel.url
    if channel.url.startswith("http://") and not channel.insecure and not any(_is_local(host, local) for local in _LOCAL):
        yield "url", "is not https; say insecure = true where the network to it is trusted"


def _is_local(url: str, local: str) -> bool:
    return url == local or url.startswith((f"{local}:", f"{local}/"))


def _problem(path: Path, name: str, item: Mapping[str, object]) -> Problem:
    """What one channel is refused for; addresses are not repeated."""
    loc = item["loc"]
    assert isinstance(loc, tuple)
    key = ".".join(str(part) for part in loc[1:] or loc)
    kinds: dict[str, type[BaseModel]] = {"email": Email, "webhook": Webhook}
    if item["type"] == "extra_forbidden":
        model = kinds[str(loc[0])]
        allowed = sorted(field for field in model.model_fields if field != "secret")
        near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return Problem(f"{path}: {name}.{key}", f"unknown key{hint} (allowed: {', '.join(allowed)})")
    return Problem(f"{path}: {name}{f'.{key}' if key else ''}", str(item["msg"]))
