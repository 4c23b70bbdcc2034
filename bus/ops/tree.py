"""`bus run`: every role of this machine under one supervisor, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import structlog

from bus.ops.backfill import with_broker
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.processes import connectors_role, consumer_role, embedded_broker, release_role, streams_role, told_to_gateway
from bus.ops.supervisor import Supervisor, child_environ
from bus.ops.wiring import apply_topics

_log = structlog.get_logger(__name__)


async def run_tree(
    installation: Installation, environ: Mapping[str, str], inputs: Sequence[Input], *, pace: float = 0.0, embedded: bool = False
) -> None:
    """Connectors, streams and every consumer that is found and has what it needs, until cancelled. Raises `BusError` when one is wrongly configured."""
    settings = installation.settings
    async with AsyncExitStack() as stack:
        extra: dict[str, str] = {}
        broker: Supervisor | None = None
        if embedded:
            broker, extra = await stack.enter_async_context(embedded_broker(environ, settings.data_dir / "logs"))
            settings = with_broker(settings, extra)
            _log.warning("embedded broker: everything is lost when this ends", bootstrap_servers=settings.kafka.bootstrap_servers)
        await apply_topics(settings, installation.topics())
        consumers = [name for name, consumer in installation.consumers.items() if not consumer.rests(settings)]
        for name in installation.consumers.keys() - set(consumers):
            _log.info("role rests: a setting that it needs is empty", role=name, needs=list(installation.consumers[name].needs))
        roles = [
            connectors_role([str(each) for each in inputs], pace=pace),
            streams_role(),
            release_role(),
            *map(consumer_role, consumers),
        ]
        extra |= told_to_gateway(settings, environ, consumers)
        tree = await stack.enter_async_context(Supervisor(roles, child_environ(environ, **extra)))
        await first_end(tree, *([broker] if broker is not None else []))


async def first_end(*trees: Supervisor) -> None:
    """Wait until no role of one of the trees is left to wait for; raises `RoleError` as soon as one in any of them has failed."""
    waits = [asyncio.create_task(tree.wait()) for tree in trees]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in waits:
            each.cancel()
