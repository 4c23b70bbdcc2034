"""An agency of this repository over the log in memory, in a simulation, and the numbers that come of what it sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bus.events.catalogue import Catalogue
from bus.indicators.batch import Batch
from bus.indicators.compose import CompositeIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from bus.settings import ROOT
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import RunningClock


def agency_world(base: Path, agency: str, **environ: str) -> World:
    """The agency's connector with a log of its own; agencies of one base share their keys. Identifiers that cannot exist are taken."""
    world = World(base / agency, agency=agency)
    world.clock = RunningClock()
    world.environ |= {"BUS_DATA_DIR": str(base / "var"), "BUS_SIMULATION": "1", "BUS_INGEST__BATCH_RECORDS": "500"} | environ
    return world


def numbers(name: str, *worlds: World, schemas: Sequence[Path] = (ROOT / "schemas",)) -> list[dict[str, str]]:
    """The indicator's rows over everything in the logs of these worlds, through fold and merge of the worker."""
    indicators = load_indicators(schemas, Catalogue.load(schemas))
    shown = indicators[name]
    leaves = [indicators[leaf] for leaf in shown.leaves] if isinstance(shown, CompositeIndicator) else [shown]
    merge, records = MergeUnit.new(0), []
    for leaf in leaves:
        assert isinstance(leaf, Indicator)
        world = next(each for each in worlds if leaf.topic in each.topics)
        for partition in range(world.log.topics[leaf.topic]):
            records += _partials(leaf, world, partition)
    merge.apply(list(enumerate(records)))
    header, rows = export_rows(merge.outputs(name))
    return [dict(zip(header, row, strict=True)) for row in rows]


def brief(rows: Sequence[dict[str, str]], *names: str) -> list[tuple[str, ...]]:
    """Those columns of the rows."""
    return [tuple(row[name] for name in names) for row in rows]


def _partials(leaf: Indicator, world: World, partition: int) -> list[bytes]:
    unit = FoldUnit.new(leaf, leaf.topic, partition, world.log.topics[leaf.topic])
    partials = [unit.full_partial()]
    log = [record for record in world.log.records(leaf.topic, partition) if world.envelope(record) is not None]
    if log:
        frame = world.codec.decode_batch(leaf.event_type, [record.value or b"" for record in log], [record.offset for record in log])
        partials += [partial for partial in [unit.apply(Batch(frame, 0, log[-1].offset))] if partial is not None]
    return [record for partial in partials for record in encode(partial)]
