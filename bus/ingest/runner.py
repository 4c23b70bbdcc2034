"""Runs an agency's connector: each of its sources by itself, until the end or until cancelled. The meaning of records is the mapping's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import structlog

from bus import metrics
from bus.clock import Clock, SystemClock
from bus.errors import ConfigurationError, Problem, TransientError
from bus.events.codec import Codec
from bus.ingest.context import SourceContext
from bus.ingest.deliver import Progress
from bus.ingest.files_runner import FilesRunner
from bus.ingest.folder import Folder, LocalFolder
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Agency
from bus.ingest.privacy.keys import agency_keys
from bus.ingest.retry import Sleep
from bus.ingest.seal import sealer_for
from bus.ingest.sftp import SCHEME, SftpAddress, SftpFolder
from bus.ingest.stream_runner import StreamRunner
from bus.kafka.ports import LogReader, Publisher, SnapshotStore
from bus.settings import Settings

_log = structlog.get_logger(__name__)

#: What a source waits that gave up, before it begins anew.
_ANEW_SECONDS = 1.0
#: What one waits whose own system is not as it is configured, before it looks again.
_MENDED_SECONDS = 30.0


class SourceRunner(Protocol):
    """Runs one source."""

    @property
    def progress(self) -> Progress:
        """How far it is."""
        ...

    async def run(self, *, until_end: bool) -> None:
        """See `Runner.run`."""
        ...


class Runner:
    """The connector of one agency. `pace`: records a second for each source; None: as fast as the log takes them."""

    def __init__(
        self,
        agency: Agency,
        *,
        publisher: Publisher,
        reader: LogReader,
        snapshots: SnapshotStore,
        codec: Codec,
        settings: Settings,
        folders: Mapping[str, Path] | None = None,
        clock: Clock | None = None,
        pace: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`folders` maps agencies (`dlh`) or single sources (`dlh/ispu`) to folders and goes before the setting that the manifest names. A
        source without a folder, or without a setting that it needs, rests.

        Raises `ConfigurationError` when all of them rest, an event type has no schema, or a mapping cannot be imported.
        """
        given = _given(agency, settings, folders or {})
        _check_events(agency, codec)
        sealer = sealer_for(settings.data_dir / "keys", agency.id)
        self._clock = clock = clock or SystemClock()
        self._keys = agency_keys(agency, settings, clock)
        door = self._keys.door(simulation=settings.simulation)
        self._agency = agency.id
        self._sources: dict[str, SourceRunner] = {}
        self._sleep = sleep
        for source_id, values in given.items():
            context = SourceContext(
                agency, source_id, agency.meaning(source_id), codec, publisher, snapshots, sealer, clock, settings.ingest, door
            )
            if isinstance(context.spec, FilesSpec):
                runner: SourceRunner = FilesRunner(
                    context, reader=reader, folder=_folder(agency, context.spec.setting, values), settings=settings, pace=pace,
                    report=progress or _unseen, sleep=sleep,
                    acknowledge=context.spec.acknowledge and _given_folder(agency, source_id, folders or {}) is None,
                )  # fmt: skip
            else:
                runner = StreamRunner(
                    context, values, reader=reader, settings=settings, pace=pace, report=progress or _unseen, sleep=sleep
                )  # fmt: skip
            self._sources[source_id] = runner

    async def run(self, *, until_end: bool) -> None:
        """Deliver everything there is and return (`until_end`), or go on watching until cancelled.

        Raises `FatalError`, and `ConfigurationError` while somebody replaces the key of the agency's domain; with an end also every other
        `ConfigurationError`, and `TransientError` when the log was away for longer than `kafka.retry_seconds`. Without an end a source that
        gave up begins anew, and one whose own system is not as it is configured (a column gone, a key refused) looks again from time to
        time: it must not stop those of the other agencies.
        """
        try:
            with self._keys.used():
                async with asyncio.TaskGroup() as group:
                    for name, source in self._sources.items():
                        group.create_task(source.run(until_end=True) if until_end else self._kept(source, name))
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors

    async def _kept(self, source: SourceRunner, name: str) -> None:
        misconfigured = metrics.source_misconfigured.labels(self._agency, name)
        while True:
            misconfigured.set(0)
            try:
                return await source.run(until_end=False)
            except TransientError as error:
                _log.warning("a source begins anew", source=source.progress.source, reason=str(error))
                await self._sleep(_ANEW_SECONDS)
            except ConfigurationError as error:
                misconfigured.set(self._clock.now().timestamp())
                _log.error("a source stands still until this is right", source=source.progress.source, reason=str(error))
                await self._sleep(_MENDED_SECONDS)

    def status(self) -> tuple[Progress, ...]:
        """Where each source is."""
        return tuple(source.progress for source in self._sources.values())


def _given(agency: Agency, settings: Settings, folders: Mapping[str, Path]) -> dict[str, Mapping[str, str]]:
    """The sources that can run, with the values of the settings that they have."""
    known = {name: value.get_secret_value() for name, value in settings.agencies.get(agency.id, {}).items()}
    found: dict[str, Mapping[str, str]] = {}
    problems = []
    for source_id, spec in agency.manifest.sources.items():
        values = dict(known)
        folder = _given_folder(agency, source_id, folders) if isinstance(spec, FilesSpec) else None
        if folder is not None and isinstance(spec, FilesSpec):
            values[spec.setting] = str(folder)
        missing = [name for name in spec.wanted_settings if name not in values]
        if missing:
            variables = " and ".join(f"BUS_{agency.id}__{name}".upper() for name in missing)
            how = (
                f"give --input {agency.source_name(source_id)}=FOLDER or set {variables}"
                if isinstance(spec, FilesSpec)
                else f"set {variables}"
            )
            what = "folder" if isinstance(spec, FilesSpec) else ", ".join(missing)
            problems.append(Problem(f"agency {agency.id}", f"source {source_id} has no {what}: {how}"))
        else:
            found[source_id] = values
    if not found:
        raise ConfigurationError(problems)
    for problem in problems:
        _log.info("a source rests", reason=problem.what, agency=agency.id)
    return found


def _given_folder(agency: Agency, source_id: str, folders: Mapping[str, Path]) -> Path | None:
    """The folder that somebody gave for this run. Where an agency does not look for them, no acknowledgements are put."""
    return folders.get(agency.source_name(source_id), folders.get(agency.id))


def _folder(agency: Agency, setting: str, values: Mapping[str, str]) -> Folder:
    """Where a source's files lie. Raises `ConfigurationError` for an SFTP server that cannot be reached this way."""
    if values[setting].startswith(SCHEME):
        return SftpFolder(SftpAddress.of(agency.id, setting, values))
    return LocalFolder(Path(values[setting]))


def _check_events(agency: Agency, codec: Codec) -> None:
    missing = [name for name in agency.manifest.events if name not in codec.catalogue]
    if missing:
        raise ConfigurationError(
            [Problem(f"agency {agency.id}: events.{name}", "there is no schema for it under schemas/events") for name in missing]
        )


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks of a group, and of the groups in it."""
    error = errors.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


def _unseen(progress: Progress) -> None:
    """Nobody looks."""
