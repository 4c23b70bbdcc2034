"""The alerts as a consumer: follower, rules, channels and page strip in one process, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog
from fastapi import FastAPI

from bus import __version__
from bus.alerts.loader import load_alerts
from bus.alerts.rule import Rule
from bus.clock import Clock, SystemClock
from bus.errors import ConfigurationError, Problem, TransientError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.loader import load_indicators
from bus.indicators.reference import References
from bus.indicators.reference_files import load_references
from bus.indicators.regions import TABLE, tree_of
from bus.indicators.reporters import declared_reporters
from bus.indicators.windows import to_micros
from bus.kafka.follower import Follower, Health, ListTopics, OpenReader, Pace, readers
from bus.kafka.ports import LogReader
from bus.ops.serving import HttpService
from bus.ops.values import read_value
from bus.settings import Settings
from consumers.alerts.api import router
from consumers.alerts.channels import Email, Webhook, load_channels, told, unknown
from consumers.alerts.desk import Decode, Desk
from consumers.alerts.dispatch import Dispatcher
from consumers.alerts.hook import HookSender
from consumers.alerts.mail import MailSender
from consumers.alerts.sender import Sender
from consumers.alerts.store import Store
from consumers.alerts.strip import Strip
from consumers.alerts.words import NameOf

_log = structlog.get_logger(__name__)

_TICK_SECONDS = 1.0
_PRUNE_TICKS = 3_600


def create(settings: Settings) -> Alerts:
    """The alerts of these settings; nothing is opened before `run`. Raises `ConfigurationError` with every problem of rules and channels."""
    roots = settings.schemas_roots()
    catalogue = Catalogue.load(roots, settings.only_agencies)
    references = load_references(roots)
    indicators = load_indicators(roots, catalogue, references, reporters=declared_reporters(settings.connector_roots()))
    rules = load_alerts(roots, indicators)
    channels = load_channels(settings.alerts)
    check_recipients(rules, channels)
    codec = Codec(catalogue)
    open_reader, list_topics = readers(settings.kafka)
    return Alerts(settings, rules, channels, open_reader, list_topics, lambda record: read_value(codec, record), names(references))


def check_recipients(rules: Mapping[str, Rule], channels: Mapping[str, Email | Webhook]) -> None:
    """Raises `ConfigurationError` for a rule about numbers that only insiders may see with a channel that is not internal.

    A recipient that is no channel of this installation is told nothing, and said so: rules come with the code, channels with the place.
    """
    problems = []
    for rule in rules.values():
        named = [name for name in rule.spec.recipients if name in channels]
        outside = [name for name in named if rule.internal and not channels[name].internal]
        if outside:
            what = f"{rule.subject.id} is not for the public; not internal: {', '.join(outside)}"
            problems.append(Problem(f"alerts/{rule.id}.toml: recipients", what))
    if problems:
        raise ConfigurationError(problems)
    missing = unknown((name for rule in rules.values() for name in rule.spec.recipients), channels)
    if missing and channels:
        _log.warning("alerts.no_such_channel", recipients=missing, hint="near names; the rules' other channels and the page are told")


def names(references: References) -> NameOf:
    """What regions are called; the code where the table does not say."""
    tree = tree_of(references[TABLE]) if TABLE in references else None

    def name_of(code: str) -> str:
        try:
            return tree.name(code) if tree is not None else code
        except KeyError:
            return code

    return name_of


class Alerts:
    """Follows, tells, and serves what it told. `app` is the ASGI application; `run` serves it."""

    def __init__(
        self,
        settings: Settings,
        rules: Mapping[str, Rule],
        channels: Mapping[str, Email | Webhook],
        open_reader: OpenReader,
        list_topics: ListTopics,
        decode: Decode,
        name_of: NameOf,
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._alerts = settings.alerts
        self._rules = rules
        self._channels = channels
        self._clock = clock or SystemClock()
        self._parts = (open_reader, list_topics, decode, name_of, pace)
        self.service = HttpService("alerts", self._alerts.host, self._alerts.port)

    @property
    def path(self) -> Path:
        """Where states, episodes and outbox are kept."""
        return self._settings.data_dir / "alerts" / "alerts.sqlite"

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`.

        Raises `ConfigurationError` when the address cannot be had, `FatalError` when another process has the store.
        """
        with self.service.listening() as (listener, url):
            self._store = Store(self.path)
            try:
                await self._serve(listener, lambda: announce(url))
            finally:
                self._store.close()

    def stop(self) -> None:
        """End all streams, let deliveries under way end, and stop listening."""
        self.service.stop()

    async def _serve(self, listener: socket.socket, started: Callable[[], None]) -> None:
        open_reader, list_topics, decode, name_of, pace = self._parts
        self.strip = Strip(self._store, self._clock)
        senders: dict[str, Sender] = {
            name: HookSender(each, self._alerts, self._clock) if isinstance(each, Webhook) else MailSender(each, self._alerts)
            for name, each in self._channels.items()
        }
        self.dispatcher = Dispatcher(senders, self._store, self._alerts, self._clock)
        self.desk = Desk(self._rules, told(self._channels), self._store, decode, name_of, clock=self._clock, on_told=lambda _: self._told())

        async def watched(reader: LogReader) -> Collection[str]:
            return self.desk.topics & set(await list_topics(reader))

        self.follower = Follower(open_reader, watched, self.desk, clock=self._clock, pace=pace, name="alerts")
        await self.service.serve(self._application(), listener, started, closing=self.strip.close)

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="Simpul: peringatan", version=__version__, description="Open and recent alerts, in Indonesian and in English.",
            docs_url=None, redoc_url=None, lifespan=self._lifespan,
        )  # fmt: skip
        app.include_router(router(self.strip, self._health, self._details, self._alerts.max_clients))
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        sending = self.service.needs(asyncio.create_task(self._send()))
        tasks = [self.service.needs(asyncio.create_task(each)) for each in (self.follower.run(), self._tick())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self.dispatcher.stop()
            await asyncio.wait({sending}, timeout=self._alerts.timeout_seconds)
            sending.cancel()
            await asyncio.gather(*tasks, sending, return_exceptions=True)

    async def _send(self) -> None:
        """Deliver once the log is known to its end: what is long over by then is not told as if it began."""
        while not self.follower.health().caught_up:  # noqa: ASYNC110 - the follower tells by its health alone
            await asyncio.sleep(0.05)
        await self.dispatcher.run()

    async def _tick(self) -> None:
        """Let time pass for the rules, up to where the log is known whole, and keep the gauges."""
        ticks = 0
        while True:
            await asyncio.sleep(min(_TICK_SECONDS, self._parts[-1].discover))
            with suppress(TransientError):  # the disk is full: the next tick comes
                if (whole := self.follower.whole_at) is not None:
                    self.desk.advance(to_micros(whole - timedelta(seconds=self._alerts.silence_margin_seconds)))
                if ticks % _PRUNE_TICKS == 0:
                    self._store.prune(to_micros(self._clock.now() - timedelta(days=self._alerts.keep_days)))
                ticks += 1
            self.dispatcher.measure()

    def _told(self) -> None:
        self.dispatcher.wake()
        self.strip.changed()

    def _health(self) -> Health:
        return self.follower.health()

    def _details(self) -> Mapping[str, object]:
        return {
            "rules": len(self._rules),
            "open": self._store.open_episodes(),
            "waiting": self._store.waiting(),
            "channels": {name: lane.problem or "ok" for name, lane in self.dispatcher.lanes.items()},
        }
