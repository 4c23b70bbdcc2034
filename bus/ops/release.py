"""The role `release`: disclosure control over what the workers publish, until it is told to stop."""

from __future__ import annotations

import asyncio

from prometheus_client import start_http_server

from bus import metrics
from bus.disclosure.releases import Releases
from bus.ops.installation import Installation
from bus.ops.wiring import apply_topics, connect
from bus.settings import Settings
from bus.streams.releasing import ReleaseStage


async def run_release(settings: Settings) -> None:
    """Until cancelled. A fault, or a broker that stays away, ends it (`BusError`): its supervisor starts it again, and it goes on where the
    log says that it was."""
    installation = Installation.load(settings)
    await apply_topics(settings, installation.topics())
    if settings.release.metrics_port:
        start_http_server(settings.release.metrics_port, addr="127.0.0.1", registry=metrics.REGISTRY)
    async with connect(settings) as log:
        stage = ReleaseStage(Releases.of(installation.public.values()), log.publisher, log.reader, installation.codec)
        await stage.start()
        while True:
            if not await stage.step():
                await asyncio.sleep(settings.release.poll_seconds)
