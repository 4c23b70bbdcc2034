"""What `bus demo` shows: a made-up regency, told into the agencies' own systems; or one agency's real exports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

from bus.errors import ConfigurationError, Problem
from bus.indicators.compose import AnyIndicator
from bus.ops.backfill import all_refused
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.values import read_values
from bus.ops.wiring import Log
from bus.settings import ROOT
from bus.simulation.play import Servers, Systems, opened
from bus.simulation.world import Plan, World, made, simulated

#: The agency and source of real exports, and what their records become.
AGENCY, SOURCE, EVENT = "dlh", "ispu", "dlh.air_quality.recorded.v1"
#: How much of the regency is shown, and for how many days until today; a check is about each number, not about many. RTs report from the 26th
#: or 27th to the 14th: of so many days in a row there are always some of these.
SCALE, DAYS, CHECK_DAYS = 0.002, 40, 14

#: Told what has been reached, for a person.
Say = Callable[[str], None]


class Feed(Protocol):
    """What a demo is fed with."""

    @property
    def agencies(self) -> Collection[str]:
        """Whose records come."""
        ...

    @property
    def types(self) -> Collection[str]:
        """The event types that come."""
        ...

    @property
    def refused(self) -> int:
        """How many records are to be refused, at least."""
        ...

    @property
    def inputs(self) -> Sequence[Input]:
        """Folders that are read beside what `environ` names."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """What the bus is told of the systems."""
        ...

    async def play(self, say: Say, *, speed: float) -> None:
        """Feed everything; `speed` 0 is as fast as possible."""
        ...


@dataclass(frozen=True)
class RegencyFeed:
    """A made-up world and the systems that it is told into. `speed` is seconds of the world in one."""

    world: World
    systems: Systems
    inputs: Sequence[Input] = ()

    @cached_property
    def agencies(self) -> Collection[str]:
        return {told.agency for told in self.world.told}

    @cached_property
    def types(self) -> Collection[str]:
        heard = (told.telling for told in self.world.told if (told.agency, told.telling.source) not in self.systems.silent)
        return {fact.event.type for telling in heard for fact in telling.facts}

    @property
    def refused(self) -> int:
        return self.systems.surely_refused(self.world)

    @property
    def environ(self) -> Mapping[str, str]:
        return self.systems.environ

    async def play(self, say: Say, *, speed: float) -> None:
        total = len(self.world.told)

        def report(moment: datetime, done: int) -> None:
            say(f"{moment:%Y-%m-%d} · {done:,}/{total:,} records told")

        await self.systems.play(self.world, speed=speed, report=report)


@dataclass(frozen=True)
class FilesFeed:
    """Real exports, put into a watched folder one after another; `speed` is records a second."""

    files: Sequence[Path]
    folder: Path
    agencies: Collection[str] = (AGENCY,)
    types: Collection[str] = (EVENT,)
    refused: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> Sequence[Input]:
        return [Input(AGENCY, SOURCE, self.folder)]

    async def play(self, say: Say, *, speed: float) -> None:
        for number, path in enumerate(self.files, 1):
            content = path.read_bytes()
            half = self.folder / f".{path.name}.part"
            await asyncio.to_thread(half.write_bytes, content)
            half.replace(self.folder / path.name)
            say(f"{number}/{len(self.files)} files")
            await asyncio.sleep(content.count(b"\n") / speed if speed else 0)


@asynccontextmanager
async def regency(
    installation: Installation, folder: Path, today: date, *, seed: int, scale: float, days: int, servers: Servers
) -> AsyncIterator[RegencyFeed]:
    """The made-up regency of the days before today, with its systems in `folder` and on `servers`."""
    plan = Plan(today - timedelta(days=days), days=days, seed=seed, scale=scale)
    agencies = simulated(installation.agencies)
    world = made(agencies, ROOT / "schemas" / "reference", plan)
    async with opened(agencies, world, folder, servers) as systems:
        yield RegencyFeed(world, systems)


def exports_in(data: Path, folder: Path) -> FilesFeed:
    """The files of `data` in the order of their names. Raises `ConfigurationError` when there are none."""
    given = data.expanduser()
    paths = sorted(path for path in given.iterdir() if path.suffix.lower() == ".csv") if given.is_dir() else []
    if not paths:
        raise ConfigurationError([Problem(f"--data {data}", "no folder with .csv files of the air-quality exports")])
    folder.mkdir(parents=True, exist_ok=True)
    return FilesFeed(paths, folder)


def covered(installation: Installation, feed: Feed) -> dict[str, AnyIndicator]:
    """The published indicators all of whose events come."""
    return {
        name: indicator
        for name, indicator in installation.published.items()
        if all(leaf.event_type in feed.types for leaf in installation.leaves_of(indicator))
    }


async def values_of(installation: Installation, log: Log, feed: Feed) -> dict[str, int]:
    """How many rows each indicator has that ought to have some."""
    found = {}
    for name, indicator in covered(installation, feed).items():
        values = await read_values(log.reader, installation.codec, name, version=indicator.version)
        found[name] = sum(value.is_row for value in values)
    return found


async def refused(log: Log, agencies: Collection[str]) -> int:
    """How many records of these agencies were ever refused; a quarantine entry closes when the record comes again in good form."""
    return sum([len(await all_refused(log.reader, agency)) for agency in sorted(agencies)])
