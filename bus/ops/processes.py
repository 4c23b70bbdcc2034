"""Which processes make up a bus on this machine, and with what environment: the broker where it is embedded, and the roles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bus.errors import ConfigurationError, Problem
from bus.kafka.process import LOCALHOST, answers, free_port
from bus.listening import url_here, url_of
from bus.ops.supervisor import Role, Supervisor, child_environ, role_command
from bus.settings import Settings

#: Endings in a row after which a run that has an end gives up, rather than wait for ever.
GIVE_UP_AFTER = 12
#: Of which consumers the gateway is told where they are, by role, when they run beside it.
GATEWAY_KNOWS = {"alerts": "BUS_GATEWAY__ALERTS_URL", "ppid": "BUS_GATEWAY__PORTAL_URL"}
_BROKER_READY_SECONDS = 30.0
_LOOPBACK = frozenset({LOCALHOST, "localhost", "::1"})


def connectors_role(inputs: Sequence[str] = (), *, until_end: bool = False, pace: float = 0.0) -> Role:
    """The connectors; with `until_end` they read their inputs once and finish. `inputs` are `agency=folder`."""
    arguments = [part for each in inputs for part in ("--input", each)]
    if until_end:
        arguments.append("--once")
    if pace:
        arguments += ["--pace", f"{pace:g}"]
    return Role("connectors", role_command("run", "connectors", *arguments), once=until_end)


def streams_role() -> Role:
    """A worker: fold and merge."""
    return Role("streams", role_command("run", "streams"))


def release_role() -> Role:
    """Disclosure control: what the public gets."""
    return Role("release", role_command("run", "release"))


def consumer_role(name: str) -> Role:
    """A consumer that is found by its manifest, e.g. the gateway."""
    return Role(name, role_command("run", name))


def told_to_gateway(settings: Settings, environ: Mapping[str, str], roles: Collection[str]) -> dict[str, str]:
    """What the gateway is told of these consumers where the environment does not say it: the public's address of the portal, and what listens
    on this machine alone."""
    addresses = {
        "alerts": (settings.alerts.host, settings.alerts.port, ""),
        "ppid": (settings.ppid.host, settings.ppid.port, settings.ppid.base_url),
    }
    told = {}
    for role, name in GATEWAY_KNOWS.items():
        host, port, url = addresses[role]
        # alerts are asked for by the gateway itself; the portal by readers, wherever they are
        there = url_here(host, port) if role == "alerts" else url_of(host, port)
        if not url and port and urlsplit(there).hostname in _LOOPBACK:
            url = there
        if role in roles and name not in environ and url:
            told[name] = url
    return told


@asynccontextmanager
async def embedded_broker(environ: Mapping[str, str], log_dir: Path) -> AsyncIterator[tuple[Supervisor, dict[str, str]]]:
    """An embedded broker in a child of its own while the context is open: its supervisor, and what to set to use it.

    A child, because it then ends with us however we end.
    """
    port = free_port()
    role = Role("broker", role_command("broker", "--port", str(port)), vital=True)
    async with Supervisor([role], child_environ(environ), log_dir=log_dir) as tree:
        for _ in range(int(_BROKER_READY_SECONDS / 0.05)):
            tree.check()
            if await asyncio.to_thread(answers, port):
                break
            await asyncio.sleep(0.05)
        else:
            raise ConfigurationError(
                [Problem("embedded broker", f"not ready after {_BROKER_READY_SECONDS:.0f} s; see {tree.log_path('broker')}")]
            )
        yield tree, {"BUS_KAFKA__BOOTSTRAP_SERVERS": f"{LOCALHOST}:{port}", "BUS_KAFKA__EMBEDDED": "true"}
