"""An alerts consumer's own HTTP surface over a handful of episodes, for tests of who passes them on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from bus.clock import SystemClock
from bus.kafka.follower import Health
from bus.kafka.process import free_port
from consumers.alerts.api import router
from consumers.alerts.store import Store
from consumers.alerts.strip import Strip

_WELL = Health(caught_up=True, live=True, reason="", silent_seconds=0.0, unreadable=0)


class Episodes:
    """What a store has of them."""

    def __init__(self, alerts: Sequence[dict[str, Any]]) -> None:
        self.alerts = list(alerts)

    def episodes(self, _since_us: int, _limit: int) -> list[tuple[dict[str, Any], int | None]]:
        return [(each, None) for each in self.alerts]


def alert(indicator: str, value: str | None, **more: object) -> dict[str, Any]:
    """One open episode as the alerts consumer tells it."""
    words = {"id": f"{indicator} melewati ambang: {value}", "en": f"{indicator} is beyond its limit: {value}"}
    return {
        "episode": f"e-{indicator}-{value}", "rule": indicator, "severity": "warning", "serta_merta": False, "title": words, "subject": words,
        "text": words, "indicator": indicator, "unit": "indeks", "value": value, "limit": "100", "step": 1, "dimensions": {}, "region": None,
        "window_start": None, "window_end": None, "begun_at": "2026-01-14T06:00:00+00:00", "at": "2026-01-14T06:00:00+00:00", "reason": None,
    } | more  # fmt: skip


@asynccontextmanager
async def alerting(episodes: Episodes, port: int = 0) -> AsyncIterator[tuple[str, Strip]]:
    """Serve them; the URL, and what tells the streams that there are others."""
    strip = Strip(cast("Store", episodes), SystemClock())
    app = FastAPI()
    app.include_router(router(strip, lambda: _WELL, dict, 10))
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}", strip
    finally:
        strip.close()
        server.should_exit = True
        await task
