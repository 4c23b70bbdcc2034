"""Runs one worker of fold and merge until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Collection

import structlog
from prometheus_client import start_http_server

from bus import metrics
from bus.clock import SystemClock
from bus.events.catalogue import Catalogue
from bus.events.envelope import EventType
from bus.indicators.reporters import declared_reporters
from bus.kafka.admin import apply
from bus.kafka.archived_log import whole_log
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import INDICATORS_PREFIX, declared_topics
from bus.settings import Settings
from bus.streams.app import create_app
from bus.streams.reload import IndicatorFolders
from bus.streams.worker import Worker, fail

_log = structlog.get_logger(__name__)

#: The same complaint of a library is let through this often.
_REPEAT_SECONDS = 30.0
#: A graceful stop that takes longer is given up; the state is in the snapshots.
_STOP_SECONDS = 20.0
#: A fetch makes a hundred thousand records that live for a moment and hold no cycles; at Python's own thresholds the collector looks
#: through all of them again and again.
GC_THRESHOLDS = (100_000, 20, 100)


class _Seldom(logging.Filter):
    """Lets each message of a library through once in a while: a broker that is away would flood the log."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._last.get((record.name, record.msg), -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return False
        self._last[record.name, record.msg] = now
        record.exc_info = None
        return True


def quieten_libraries() -> None:
    """Faust's and aiokafka's logs: errors only, each seldom, without tracebacks (faults of ours explain themselves)."""
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.ERROR)
    seldom = _Seldom()
    fallback = [logging.lastResort] if logging.lastResort is not None else []
    for handler in logging.getLogger().handlers or fallback:
        handler.addFilter(seldom)


async def run_streams(settings: Settings) -> None:
    """Fold and merge until SIGTERM or SIGINT, then write last snapshots and leave.

    Raises `ConfigurationError` and `TransientError` at the start only; any later fault ends the process with status 70, for a
    supervisor to start it anew.
    """
    quieten_libraries()
    gc.set_threshold(*GC_THRESHOLDS)
    catalogue = Catalogue.load(settings.schemas_roots(), settings.only_agencies)
    folders = IndicatorFolders(settings.schemas_roots(), catalogue, declared_reporters(settings.connector_roots()))

    async def declare(indicators: Collection[str]) -> None:
        agencies = {EventType.parse(name).agency for name in catalogue.types}
        shown = [name for name in indicators if folders.kind(name) != "register"]
        lists = [name for name in indicators if folders.kind(name) == "reconcile"]
        await apply(settings.kafka, declared_topics(settings, catalogue.types, shown, agencies, lists))

    if settings.streams.metrics_port:
        start_http_server(settings.streams.metrics_port, addr="127.0.0.1", registry=metrics.REGISTRY)
    async with KafkaPublisher(settings.kafka) as publisher, KafkaLogReader(settings.kafka) as reader:
        await declare({*folders.current, *await _published(reader)})
        store = KafkaSnapshotStore(publisher, reader)
        folders.stands(await store.newest("fold/"))
        worker = Worker(settings, catalogue, folders.current, publisher, whole_log(settings, reader), store, SystemClock())
        app = create_app(settings, worker)
        stopping = _stop_signal()
        try:
            await app.start()
            worker.start(app, folders.changed, declare)
            _log.info("worker_started", group=settings.streams.group, indicators=len(folders.current))
            await stopping.wait()
            _log.info("worker_stopping")
            await worker.stop()
            async with asyncio.timeout(_STOP_SECONDS):
                await app.stop()
        except Exception as error:  # noqa: BLE001 - Faust's thread would keep a process alive that does nothing any more
            fail(error)
    _log.info("worker_stopped")


async def _published(reader: KafkaLogReader) -> set[str]:
    """Every indicator that has a topic: bus.partials may still speak of one whose file is gone, and it needs all its topics."""
    return {name.removeprefix(INDICATORS_PREFIX) for name in await reader.topics() if name.startswith(INDICATORS_PREFIX)}


def _stop_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
