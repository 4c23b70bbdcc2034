"""What a connector says of how far it has come: in every partition, after all that it vouches for, whatever it is stopped after."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bus.events.heartbeat import heartbeat_of
from bus.testing.faults import Fault
from bus.testing.gate import Gate, GatedPublisher
from tests.pipeline.ingest_scenarios import HEADER, scenario
from tests.pipeline.ingest_world import World, lab_world

SOURCE = "lab/samples"
#: The value is the day of the fact.
DAYS = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    yield Event("lab.sample.recorded.v1", record["no"], datetime(2024, 1, int(record["value"]), tzinfo=UTC), {"value": record["value"]})
"""
#: Delivery -> the newest day that it holds. None of the fifth, which is refused as a whole.
NEWEST = {1: 8, 2: 12, 3: 11, 4: 10, 6: 9}


def _deliver(world: World) -> None:
    """New facts; one that is newer; nothing new, and less of it; refusals of newer ones; a file that is no table of ours; the same again."""
    first = [f"{n},{n + 1}" for n in range(8)]
    world.put("1.csv", *first, header=HEADER)
    world.put("2.csv", *first[::-1], "8,12", "9,11", "10,10", "11,9", header=HEADER)
    world.put("3.csv", *first, "9,11", "10,10", "11,9", header=HEADER)
    world.put("4.csv", *first, "10,10", "7,30", "12,31,extra", "11,9", header=HEADER)
    world.put("5.csv", "0,29", header="no,unknown")
    world.put("6.csv", *first, "11,9", header=HEADER)


def _check(world: World, when: str) -> None:
    """In every partition the heartbeats of all deliveries in their order, each after all events of that delivery and those before it."""
    (topic,) = world.topics
    kept = {(envelope.source, envelope.sequence) for envelope in world.folded()}
    for partition in range(world.log.topics[topic]):
        said: list[int] = []
        seen: set[tuple[str, int]] = set()
        for record in world.log.records(topic, partition):
            envelope = world.envelope(record)
            beat = heartbeat_of(record.headers) if envelope is None else None
            if beat is not None:
                assert beat.source == SOURCE, when
                day = datetime.fromtimestamp(beat.at_us / 1e6, UTC)
                said += [delivery for delivery, newest in NEWEST.items() if day == datetime(2024, 1, newest, tzinfo=UTC)] or [-1]
            if envelope is not None and (mark := (envelope.source, envelope.sequence)) in kept and mark not in seen:
                seen.add(mark)
                delivery = int(envelope.batch.rpartition("/")[2])
                assert delivery > max(said, default=0), f"{when}: an event of delivery {delivery} after heartbeats of {said}"
        assert said == sorted(said), f"{when}: {said}"
        assert sorted(set(said)) == list(NEWEST), f"{when}: {said} in partition {partition}"


@scenario
async def heartbeats(base: Path) -> None:
    """It goes through undisturbed; it dies before any one effect and starts anew; any one send fails for good."""
    world = lab_world(base, mapping=DAYS)
    _deliver(world)
    gate = Gate(world.log)
    await world.runner(publisher=GatedPublisher(gate)).run(until_end=True)
    _check(world, "undisturbed")
    for effect in range(gate.effects):
        world.log = world.fresh_log()
        assert await world.run_until_crash(effect)
        await world.run()
        _check(world, f"after a crash at effect {effect}")
        world.log = world.fresh_log()
        failing = GatedPublisher(Gate(world.log, {effect: Fault.FAIL}), beginnings=True)
        await world.runner(publisher=failing).run(until_end=True)
        _check(world, f"after a failed send at effect {effect}")
