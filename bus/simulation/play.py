"""Plays a made-up world into the agencies' own systems, at a speed, while the bus reads them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol, TypeVar

from bus.ingest.kinds import FilesSpec, SourceSpec
from bus.ingest.kinds.http_spec import HttpSpec
from bus.ingest.kinds.mqtt_spec import MqttSpec
from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.ingest.manifest import Agency, TotalsSpec
from bus.kafka.process import LOCALHOST, free_port
from bus.simulation.counting import counted, facts_of, write_counts
from bus.simulation.story import Telling
from bus.simulation.systems.folders import FolderOfFiles
from bus.simulation.systems.interface import Interfaces
from bus.simulation.systems.posts import Poster
from bus.simulation.systems.sensors import Sensors
from bus.simulation.systems.tables import Tables
from bus.simulation.world import World, file_form

_S = TypeVar("_S", bound=SourceSpec)


class System(Protocol):
    """Takes in what sources of one agency are told."""

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        """Returns when the system has them."""
        ...


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that the agencies' systems are kept in; without them databases are files, and sensors silent."""

    #: Agency -> the address of a database that exists.
    databases: Mapping[str, str] = field(default_factory=dict)
    mqtt_url: str = ""


@dataclass(frozen=True)
class Systems:
    """All agencies' systems. `environ`: what the bus has to be told of them. `silent`: sources that nothing here can be.
    `polled`: those of which the bus sees what stands when it asks, and not what stood between."""

    by_source: Mapping[tuple[str, str], System] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    silent: frozenset[tuple[str, str]]
    polled: frozenset[tuple[str, str]]
    #: Agency -> what it counts for itself, and the folder for that.
    counting: Mapping[str, tuple[TotalsSpec, Path]] = field(repr=False, default_factory=dict)

    def surely_refused(self, world: World) -> int:
        """How many records with a mistake the bus has to see: not those of silent sources, nor what stood in a table between two polls."""
        unseen = self.silent | self.polled
        return sum(told.telling.refused and (told.agency, told.telling.source) not in unseen for told in world.told)

    async def play(self, world: World, *, speed: float, report: Callable[[datetime, int], None]) -> None:
        """Tell everything in order, an hour at once, `speed` seconds of the world in one (0: as fast as the systems take it).

        `report` is told the world's time and how many tellings are told. At the end each agency puts down what it has counted.
        """
        begun, first, done = time.monotonic(), world.told[0].at if world.told else None, 0
        for step, told in groupby(world.told, key=lambda each: each.at.replace(minute=0, second=0, microsecond=0)):
            if speed and first is not None:
                await asyncio.sleep(max(0.0, (step - first).total_seconds() / speed - (time.monotonic() - begun)))
            together: dict[tuple[str, str], list[Telling]] = {}
            for each in told:
                together.setdefault((each.agency, each.telling.source), []).append(each.telling)
            await asyncio.gather(*(self._tell(source, tellings) for source, tellings in together.items()))
            done += sum(map(len, together.values()))
            report(step, done)
        for agency, (spec, folder) in self.counting.items():
            counts = counted(facts_of(world, agency, self.silent))
            await asyncio.to_thread(write_counts, folder / "hitungan.csv", spec, counts)

    async def _tell(self, source: tuple[str, str], tellings: Sequence[Telling]) -> None:
        if source not in self.silent:
            await self.by_source[source].tell(source[1], tellings)


class _OfAgency:
    """An agency's part of something that all share."""

    def __init__(self, agency: str, interfaces: Interfaces) -> None:
        self._agency, self._interfaces = agency, interfaces

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        await self._interfaces.tell(self._agency, source, tellings)


@asynccontextmanager
async def opened(agencies: Mapping[str, Agency], world: World, folder: Path, servers: Servers) -> AsyncIterator[Systems]:
    """The systems of these agencies while the context is open, empty. `folder` takes what is kept in files."""
    async with AsyncExitStack() as stack:
        ingress = free_port()
        http = {(agency.id, name): spec for agency in agencies.values() for name, spec in _of(agency, HttpSpec).items()}
        interfaces = Interfaces(http, free_port())
        await stack.enter_async_context(interfaces.serving())
        environ = {"BUS_SIMULATION": "true", "BUS_INGEST__INGRESS_PORT": str(ingress)}
        systems: dict[tuple[str, str], System] = {}
        silent: set[tuple[str, str]] = set()
        counting = {
            agency.id: (agency.manifest.totals, folder / "hitungan" / agency.id) for agency in agencies.values() if agency.manifest.totals
        }  # fmt: skip
        for agency in agencies.values():
            settings = interfaces.settings(agency.id)
            systems |= {(agency.id, name): _OfAgency(agency.id, interfaces) for name in _of(agency, HttpSpec)}
            if files := _of(agency, FilesSpec):
                place = folder / agency.id
                in_files = FolderOfFiles(place, files, lambda source, agency=agency: file_form(agency, source))  # type: ignore[misc]
                systems |= {(agency.id, name): in_files for name in files}
                settings |= {spec.setting: str(place) for spec in files.values()}
            if tables := _of(agency, SqlSpec):
                url = servers.databases.get(agency.id) or f"sqlite:///{folder / agency.id}.sqlite3"
                database = Tables(url, tables, [told.telling for told in world.told if told.agency == agency.id])
                stack.callback(database.close)
                systems |= {(agency.id, name): database for name in tables}
                settings |= {spec.setting: url for spec in tables.values()}
            if posted := _of(agency, WebhookSpec):
                poster = Poster(agency.id, f"http://{LOCALHOST}:{ingress}")
                stack.push_async_callback(poster.close)
                systems |= {(agency.id, name): poster for name in posted}
                settings |= {spec.setting: poster.key for spec in posted.values()}
            if sensed := _of(agency, MqttSpec):
                if servers.mqtt_url:
                    sensors = Sensors(agency.id, servers.mqtt_url, sensed)
                    stack.callback(sensors.close)
                    systems |= {(agency.id, name): sensors for name in sensed}
                    settings |= {spec.setting: servers.mqtt_url for spec in sensed.values()}
                else:
                    silent |= {(agency.id, name) for name in sensed}
            if agency.id in counting:
                spec, place = counting[agency.id]
                place.mkdir(parents=True, exist_ok=True)
                settings |= {spec.setting: str(place)}
            environ |= {f"BUS_{agency.id}__{name}".upper(): value for name, value in settings.items()}
        polled = {(agency.id, name) for agency in agencies.values() for name, spec in agency.manifest.sources.items() if _is_polled(spec)}
        yield Systems(systems, environ, frozenset(silent), frozenset(polled), counting)


def _is_polled(spec: SourceSpec) -> bool:
    return isinstance(spec, HttpSpec) or (isinstance(spec, SqlSpec) and spec.mode == "query")


def _of(agency: Agency, kind: type[_S]) -> dict[str, _S]:
    return {name: spec for name, spec in agency.manifest.sources.items() if isinstance(spec, kind)}
