"""A portal and the PPID's connector beside it: a form that is filled in, the ingress, and the log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bus.testing.memory import MemoryLog
from consumers.ppid.portal import Portal
from tests.connectors.agency_site import agency_world
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import KEY, OTHER_KEY, free_port, posting
from tests.unit.ppid.feed import PM10, portal_over, serving

TEXT = "Nilai Maret tampak terlalu tinggi dibanding Februari."


def filled(**fields: object) -> dict[str, Any]:
    """A form as the page sends it."""
    return {"key": "0123456789abcdef" * 2, "about": PM10, "kind": "KESALAHAN", "text": TEXT, "website": "", **fields}


def ppid_world(base: Path) -> World:
    """The connector of the PPID; the portal has a key of its own."""
    keys = {"BUS_PPID__PORTAL_KEY": OTHER_KEY, "BUS_PPID__WEBHOOK_KEY": KEY}
    return agency_world(base, "ppid", BUS_INGEST__INGRESS_PORT=str(free_port()), **keys)


def portal_beside(world: World, base: Path, *, log: MemoryLog | None = None, **ppid: object) -> Portal:
    """A portal that sends what it is told to that connector."""
    url = f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}/v1/events/ppid/masukan"
    given = {"feedback_url": url, "feedback_key": OTHER_KEY, **ppid}
    return portal_over(log or MemoryLog({f"public.{PM10}": 1}), f"sqlite:///{base / 'ppid.db'}", base, **given)


@asynccontextmanager
async def desk(world: World, portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    """Both run; a client of the portal."""
    async with posting(world), serving(portal) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
        yield client
