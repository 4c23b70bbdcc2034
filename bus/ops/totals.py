"""`bus totals`: an agency's own daily counts beside what stands in the log, and the difference as a metric."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
import structlog

from bus import metrics
from bus.errors import BusError, ConfigurationError, Problem
from bus.events.codec import Codec, UndecodableRecords
from bus.events.schema import EventSchema
from bus.indicators.compose import AnyIndicator
from bus.indicators.indicator import Indicator
from bus.indicators.windows import to_datetime
from bus.ingest.manifest import Agency, TotalsSpec
from bus.ingest.totals import Reconciliation, Standing, compare, read_counts
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.ops.backfill import open_quarantine
from bus.ops.installation import Installation
from bus.ops.values import read_values

_log = structlog.get_logger(__name__)

_FINGERPRINT = "ce_dataschema"


@dataclass(frozen=True, slots=True)
class Counted:
    """An agency that counts for itself, and the folder into which it puts its counts."""

    agency: Agency
    spec: TotalsSpec
    folder: Path


def counted(installation: Installation, only: str = "") -> Sequence[Counted]:
    """The agencies that count for themselves and have a folder set. Raises `ConfigurationError` when `only` (an id) is none of them, or a
    manifest names an indicator that is no daily count of its event."""
    found, problems = [], []
    for name, agency in sorted(installation.agencies.items()):
        spec = agency.manifest.totals
        if only and name != only:
            continue
        setting = None if spec is None else installation.settings.agencies.get(name, {}).get(spec.setting)
        if spec is None or setting is None:
            if only:
                what = "its agency.toml has no [totals]" if spec is None else f"set BUS_{name.upper()}__{spec.setting.upper()} to a folder"
                problems.append(Problem(f"agency {name}", f"has no counts of its own: {what}"))
            continue
        problems += [
            Problem(f"agency {name}: totals.indicators.{event}", f"{indicator!r} {_NO_COUNT}")
            for event, indicator in spec.indicators.items()
            if not _is_daily_count(installation.indicators.get(indicator), event)
        ]
        found.append(Counted(agency, spec, Path(setting.get_secret_value())))
    if only and only not in installation.agencies:
        problems.append(Problem(only, f"is no agency; known are: {', '.join(installation.agencies)}"))
    if problems:
        raise ConfigurationError(problems)
    return found


_NO_COUNT = 'is no indicator with measure = { kind = "count" }, window = "1d" and without a region, of that event'


def _is_daily_count(indicator: AnyIndicator | None, event: str) -> bool:
    return (
        isinstance(indicator, Indicator) and indicator.event_type == event and indicator.kind == "count" and indicator.window == "1d"
        and not indicator.spec.is_stock and indicator.regions is None
    )  # fmt: skip


@dataclass(slots=True)
class Ledger:
    """What stands in the log of one event type; each call reads on from where the last one ended."""

    schema: EventSchema
    codec: Codec
    standing: Standing = field(init=False)
    positions: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.standing = Standing(self.schema.correctable)

    async def read_on(self, reader: LogReader) -> None:
        """To the end of the log as it is now. The log, its archive included, must begin at 0."""
        for number in range(await reader.partitions(self.schema.type.topic)):
            partition = TopicPartition(self.schema.type.topic, number)
            end = await reader.end(partition)
            begin = self.positions.get(number, 0)
            if begin < end:
                async for batch in reader.read(partition, begin, end):
                    self.standing.add(number, self._decoded([each for each in batch if each.value is not None]))
                    self.positions[number] = batch[-1].offset + 1
                    await asyncio.sleep(0)
            self.positions[number] = end

    def _decoded(self, records: Sequence[Record]) -> pl.DataFrame:
        """As columns; what no schema reads, which no indicator counts either, is left out."""
        prints = [dict(each.headers).get(_FINGERPRINT, b"") for each in records]
        values, offsets = [each.value or b"" for each in records], [each.offset for each in records]
        try:
            return self.codec.decode_batch(self.schema.name, values, offsets, fingerprints=prints if all(prints) else None)
        except UndecodableRecords as error:
            bad = set(error.indices)
            return self._decoded([each for index, each in enumerate(records) if index not in bad])


class Accounts:
    """Compares one agency's counts with the log, as often as it is asked."""

    def __init__(self, installation: Installation, of: Counted, reader: LogReader) -> None:
        self._installation = installation
        self._of = of
        self._reader = reader
        self._ledgers = {
            name: Ledger(installation.catalogue[name], installation.codec) for name in sorted(set(of.spec.types.values()))
        }  # fmt: skip

    async def reconcile(self, *, first: date | None = None, last: date | None = None) -> Reconciliation:
        """As of now. Raises `ConfigurationError` for a folder that cannot be read, `TransientError` when Kafka stays away."""
        agency = self._of.agency.id
        claimed, faults = read_counts(await asyncio.to_thread(_files, self._of), self._of.spec.types)
        held: dict[tuple[str, date], int] = {}
        positions: dict[str, int] = {}
        for name, ledger in self._ledgers.items():
            await ledger.read_on(self._reader)
            held |= {(name, day): count for day, count in ledger.standing.counts.items()}
            positions |= {f"{ledger.schema.type.topic}/{number}": at for number, at in ledger.positions.items()}
        shown = {event: await self._shown(indicator) for event, indicator in self._of.spec.indicators.items()}
        lines = compare(self._of.spec.types.values(), claimed, held, shown, first=first, last=last)
        quarantined = len(await open_quarantine(self._reader, agency))
        return Reconciliation(agency, lines, faults, positions, quarantined)

    async def _shown(self, indicator: str) -> Mapping[date, int]:
        """What the indicator's newest version has published, all its dimensions added up."""
        version = self._installation.indicator(indicator).version
        days: Counter[date] = Counter()
        for value in await read_values(self._reader, self._installation.codec, indicator, version=version):
            days[to_datetime(value.window_start_us).date()] += value.n
        return days


def _files(of: Counted) -> list[tuple[str, str]]:
    """(name, text) of the count files, the one that was put there last at the end."""
    try:
        paths = sorted(of.folder.glob("*.csv"), key=lambda path: (path.stat().st_mtime_ns, path.name))
        if not of.folder.is_dir():
            raise FileNotFoundError(2, "there is no such folder")
        return [(path.name, path.read_bytes().decode("utf-8", errors="replace")) for path in paths]
    except OSError as error:
        raise ConfigurationError([Problem(f"agency {of.agency.id}", f"its counts in {of.folder}: {error.strerror}")]) from error


def measure(found: Reconciliation) -> None:
    """The differences as a metric."""
    differences: Counter[str] = Counter()
    for line in found.lines:
        differences[line.event_type] += abs(line.difference)
    for name, difference in differences.items():
        metrics.totals_difference.labels(found.agency, name).set(difference)


async def watch(installation: Installation, reader: LogReader, seconds: float) -> None:
    """Compare all agencies that count for themselves, now and then; for ever. What cannot be compared now is tried again."""
    accounts = [Accounts(installation, each, reader) for each in counted(installation)]
    while accounts:
        for each in accounts:
            try:
                measure(await each.reconcile())
            except BusError as error:
                _log.warning("the counts of an agency cannot be compared", reason=str(error))
        await asyncio.sleep(seconds)
