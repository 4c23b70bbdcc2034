"""One role in this process. The role's code is imported only when the role runs, so that each process carries no more than it needs."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import start_http_server

from bus import metrics
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Agency, discover
from bus.kafka.ports import LogReader
from bus.ops.consumers import load_consumer, load_consumers
from bus.ops.inputs import parse_inputs
from bus.ops.wiring import connect
from bus.settings import Settings

CONNECTORS, STREAMS, RELEASE = "connectors", "streams", "release"

_log = structlog.get_logger(__name__)


def known_roles(settings: Settings) -> tuple[str, ...]:
    """What `bus run <role>` can be."""
    return (CONNECTORS, STREAMS, RELEASE, *sorted(load_consumers(settings.consumer_roots())))


async def run_connectors(settings: Settings, inputs: Sequence[str], *, until_end: bool, pace: float) -> None:
    """Every agency that has an input, or whose folders are set in the environment: to their end, or watching until cancelled.

    Kafka may be away when it begins: what goes through a journal is read and kept there, files wait. With an end it has to answer.
    Raises `ConfigurationError` when there is nothing to read.
    """
    runner = importlib.import_module("bus.ingest.runner")
    agencies = discover(settings.connector_roots(), settings.only_agencies)
    chosen = parse_inputs(inputs, file_sources(agencies))
    folders = {f"{each.agency}/{each.source}": each.folder for each in chosen}
    names = {each.agency for each in chosen} if until_end and chosen else {each.agency for each in chosen} | configured(settings, agencies)
    if not names:
        allowed = "; ".join(
            f"--input {name}=FOLDER or {setting_names(agency, source)}" if isinstance(spec, FilesSpec) else setting_names(agency, source)
            for name, agency in agencies.items()
            for source, spec in agency.manifest.sources.items()
        )
        raise ConfigurationError([Problem("connectors", f"no agency has a folder to read from; say {allowed}")])
    codec = Codec(Catalogue.load(settings.schemas_roots(), settings.only_agencies))
    if settings.ingest.metrics_port and not until_end:
        start_http_server(settings.ingest.metrics_port, addr="127.0.0.1", registry=metrics.REGISTRY)
    async with connect(settings, offline=not until_end) as log:
        runners: list[Any] = [
            runner.Runner(
                agencies[name], publisher=log.publisher, reader=log.reader, snapshots=log.snapshots, codec=codec, settings=settings,
                folders=folders, pace=pace or None,
            )
            for name in sorted(names)
        ]  # fmt: skip
        _log.info("connectors running", agencies=sorted(names))
        try:
            async with asyncio.TaskGroup() as group:
                for each in runners:
                    group.create_task(each.run(until_end=until_end))
                if not until_end and any(_counts(settings, agency) for agency in agencies.values()):
                    group.create_task(_watch_totals(settings, log.reader))
        except BaseExceptionGroup as errors:
            raise runner.first_of(errors) from errors


def _counts(settings: Settings, agency: Agency) -> bool:
    """Whether an agency counts for itself, and says here where."""
    return agency.manifest.totals is not None and agency.manifest.totals.setting in settings.agencies.get(agency.id, {})


async def _watch_totals(settings: Settings, reader: LogReader) -> None:
    totals = importlib.import_module("bus.ops.totals")
    installation = importlib.import_module("bus.ops.installation").Installation.load(settings)
    await totals.watch(installation, reader, settings.ingest.totals_seconds)


async def run_consumer(settings: Settings, role: str) -> None:
    """A consumer until it is told to stop."""
    app = load_consumer(role, settings.consumer_roots()).create(settings)
    await app.run(lambda url: _log.info("serving", role=role, url=url))


async def run_streams(settings: Settings) -> None:
    """A worker until it is told to stop."""
    await importlib.import_module("bus.streams.running").run_streams(settings)


async def run_release(settings: Settings) -> None:
    """The release stage until it is told to stop."""
    await importlib.import_module("bus.ops.release").run_release(settings)


def file_sources(agencies: Mapping[str, Agency]) -> Mapping[str, tuple[str, ...]]:
    """Agency -> the names of its sources that read files."""
    return {
        name: tuple(source for source, spec in agency.manifest.sources.items() if isinstance(spec, FilesSpec))
        for name, agency in agencies.items()
    }


def configured(settings: Settings, agencies: Mapping[str, Agency]) -> set[str]:
    """The agencies that have what at least one of their sources needs."""
    return {
        name
        for name, agency in agencies.items()
        if any(set(spec.wanted_settings) <= settings.agencies.get(name, {}).keys() for spec in agency.manifest.sources.values())
    }


def setting_names(agency: Agency, source: str) -> str:
    """The variables without which a source rests."""
    return " and ".join(f"BUS_{agency.id}__{name}".upper() for name in agency.manifest.sources[source].wanted_settings)
