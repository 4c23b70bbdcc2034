"""Records that reached the log and that a fold cannot use: listed, shown from the log, and closed when a higher version counts them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.clock import SystemClock
from bus.errors import ConfigurationError, RecordError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.ingest.manifest import discover
from bus.ingest.quarantine import Entry, Place, parse_place
from bus.kafka.places import LogPlace
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.backfill import open_quarantine
from bus.ops.quarantine import Replayed, list_quarantine, replay, show_original
from bus.settings import ROOT
from bus.streams.folding import FoldWork
from bus.testing.memory import MemoryLog
from tests.unit.streams.world import EVENTS, TYPE, indicator_text, schema

TOPIC = TopicPartition(EVENTS, 0)
QUARANTINE = "quarantine.test"


class Site:
    """An event type with a double, an indicator over it, and a log with a sound record, one without form and one beyond all measure."""

    def __init__(self, root: Path, *, correctable: bool = True) -> None:
        self.root = root
        (root / "events" / "test").mkdir(parents=True)
        (root / "indicators").mkdir()
        avro = schema()
        avro["fields"] = [*avro["fields"], {"name": "level", "type": "double", "default": 0.0, "doc": "How high."}]  # type: ignore[misc]
        avro["correctable"] = correctable
        (root / "events" / "test" / "thing.counted.v1.avsc").write_text(json.dumps(avro))
        self.catalogue = Catalogue.load([root])
        self.codec = Codec(self.catalogue)
        self.define()
        self.log = MemoryLog({EVENTS: 1, QUARANTINE: 1, "bus.snapshots": 1}, compacted=[QUARANTINE, "bus.snapshots"])

    def define(self, *, version: int = 1, where: str = "") -> None:
        text = indicator_text("test.level", '{ kind = "sum", of = "level", scale = 2 }', version=version, where=where)
        (self.root / "indicators" / "test.level.toml").write_text(text)
        self.indicators = {name: each for name, each in load_indicators([self.root], self.catalogue).items() if isinstance(each, Indicator)}

    async def publish(self) -> None:
        for number, level in enumerate((1.5, None, 1e300)):
            event = Event(TYPE, f"s{number}", datetime(2024, 1, 1, tzinfo=UTC), {"place": "p", "amount": 1, "level": level or 0.0})
            value, headers = self.codec.encode(Envelope(event, "test/a", number, number, Op.CREATE, "test/a/1"))
            await self.log.send([Message(EVENTS, 0, event.subject.encode(), value if level else value[:9], headers)])

    async def fold(self) -> None:
        """A worker takes in what there is, as if for the first time."""
        work = FoldWork(self.catalogue, self.indicators, event_partitions=1, partials_partitions=1)
        prepared = work.prepare(TOPIC, self.log.records(EVENTS))
        await self.log.send(prepared.rejected)
        for unit_id in work.unit_ids(TOPIC):
            await self.log.send(work.apply(work.fresh(TOPIC, unit_id, -1), prepared).first)

    async def entries(self) -> dict[str, Entry]:
        return {entry.place.key: entry for entry in await list_quarantine(self.log, "test")}

    async def replay(self, *places: LogPlace) -> dict[str, Replayed]:
        agency = discover([ROOT / "connectors"])["dlh"]
        agency = replace(agency, manifest=agency.manifest.model_copy(update={"id": "test"}))
        found = await replay(
            agency, publisher=self.log, reader=self.log, snapshots=KafkaSnapshotStore(self.log, self.log), codec=self.codec,
            clock=SystemClock(), keys=self.root / "keys", private_key=self.root / "none", indicators=self.indicators, places=places or None,
        )  # fmt: skip
        return {each.place.key: each for each in found}


BROKEN, BEYOND = f"fold|{EVENTS}/0/1|", f"fold|{EVENTS}/0/2|test.level"


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    await site.publish()
    await site.fold()
    return site


async def test_they_are_listed_with_place_time_and_reason(site: Site) -> None:
    found = await site.entries()
    assert list(found) == [BROKEN, BEYOND]
    assert await open_quarantine(site.log, "test") == list(found.values())
    assert found[BEYOND].reason["rule"] == "too_large"
    assert found[BEYOND].reason["message_en"].count("test.level") == 1
    assert f"{EVENTS}/0/2" in found[BEYOND].reason["message"]
    assert [found[key].definitions for key in found] == [{"test.level": 1}, {"test.level": 1}]
    published = {BROKEN: 1, BEYOND: 2}
    for key, entry in found.items():
        written = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=site.log.records(EVENTS)[published[key]].timestamp_ms)
        assert datetime.fromisoformat(entry.at) == written
        assert json.loads(json.dumps(entry.value()))["position"] == {"topic": EVENTS, "partition": 0, "offset": published[key]}


async def test_a_key_that_names_no_place_hides_nothing(site: Site) -> None:
    for key in (b"fold|nowhere", b"a|b|c", b"\xff|1|1", b"a|b|c|d"):
        await site.log.send([Message(QUARANTINE, 0, key, b'{"state":"open"}')])
    assert list(await site.entries()) == [BROKEN, BEYOND]


async def test_the_original_is_read_from_the_log(site: Site) -> None:
    shown = await show_original(site.log, site.codec, "test", _log_place(BEYOND))
    assert json.loads(shown.content)["level"] == 1e300
    shown = await show_original(site.log, site.codec, "test", _log_place(BROKEN))
    value = site.log.records(EVENTS)[1].value
    assert value is not None
    assert value.hex(" ") in shown.content.decode()
    with pytest.raises(ConfigurationError, match="is not in the quarantine"):
        await show_original(site.log, site.codec, "test", LogPlace(EVENTS, 0, 77))
    site.log.trim(TOPIC, 3)
    with pytest.raises(RecordError, match="not in the log any more"):
        await show_original(site.log, site.codec, "test", _log_place(BEYOND))


async def test_a_replay_says_what_to_mend_and_closes_what_a_higher_version_counts(site: Site) -> None:
    said = await site.replay()
    assert "mend test.level.toml and set version = 2" in said[BEYOND].problem_en
    assert "no schema of test reads it" in said[BROKEN].problem_en
    assert not any(each.resolved for each in said.values())
    site.define(version=2)
    assert "set version = 3" in (await site.replay(_log_place(BEYOND)))[BEYOND].problem_en
    site.define(version=2, where="level < 1000")
    said = await site.replay()
    assert said[BEYOND].resolved
    assert said[BEYOND].outcome == "computed by test.level version 2"
    assert list(await site.entries()) == [BROKEN]
    await site.fold()
    assert list(await site.entries()) == [BROKEN], "the higher version has nothing against it"


async def _say(site: Site, op: Op, *, delivery: int, level: float = 0.0, subject: str = "s2") -> None:
    event = Event(TYPE, subject, datetime(2024, 1, 1, tzinfo=UTC), {"place": "p", "amount": 1, "level": level})
    value, headers = site.codec.encode(Envelope(event, "test/a", delivery * 10, delivery * 10, op, f"test/a/{delivery}"))
    await site.log.send([Message(EVENTS, 0, subject.encode(), value, headers)])


@pytest.mark.parametrize("op", [Op.CORRECT, Op.CANCEL])
async def test_an_entry_is_closed_by_mended_data(site: Site, op: Op) -> None:
    """Delivered again corrected, or withdrawn; what is no better, another subject's, or older, closes nothing."""
    await _say(site, Op.CORRECT, delivery=2, level=2e300)
    await _say(site, Op.CORRECT, delivery=2, level=1.0, subject="s7")
    await site.fold()
    worse = f"fold|{EVENTS}/0/3|test.level"
    assert list(await site.entries()) == [BROKEN, BEYOND, worse]
    said = await site.replay()
    assert not any(each.resolved for each in said.values())
    assert "deliver it corrected, or mend test.level.toml" in said[BEYOND].problem_en
    await _say(site, op, delivery=3, level=2.5)
    said = await site.replay()
    where = f"{EVENTS}/0/5"
    outcome = f"its subject is cancelled by {where}" if op is Op.CANCEL else f"mended by a later version of its subject, {where}"
    assert [said[key].outcome for key in (BEYOND, worse)] == [outcome] * 2
    assert not said[BROKEN].resolved, "nobody knows which version it is"
    assert list(await site.entries()) == [BROKEN]
    await site.fold()
    assert list(await site.entries()) == [BROKEN, BEYOND, worse], "a fold that begins anew says it again"
    await site.replay()
    assert list(await site.entries()) == [BROKEN]


async def test_an_older_version_that_comes_later_mends_nothing(site: Site) -> None:
    await _say(site, Op.CORRECT, delivery=0, level=2.5)
    assert not (await site.replay(_log_place(BEYOND)))[BEYOND].resolved


async def test_final_facts_are_mended_by_definitions_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, correctable=False)
    await site.publish()
    await site.fold()
    await _say(site, Op.CREATE, delivery=3, level=2.5)
    problem = (await site.replay(_log_place(BEYOND)))[BEYOND].problem_en
    assert "facts of this type are final, so no later one takes its place: mend test.level.toml" in problem


async def test_a_mended_definition_of_the_same_version_counts_nothing(site: Site) -> None:
    site.define(where="level < 1000")
    assert "test.level version 1 has left it out: set version = 2" in (await site.replay(_log_place(BEYOND)))[BEYOND].problem_en


def test_places_are_read_back_as_they_were_written() -> None:
    for place in (Place("dlh/ispu", 2, 70), LogPlace("events.a.b.c.v1", 3, 12, "a.d"), LogPlace("events.a.b.c.v1", 3, 12)):
        assert parse_place(place.key) == place
    for wrong in ("fold|events.a|x", "fold|a/b/c|x", "dlh/ispu|2", ""):
        with pytest.raises(ValueError, match=r"invalid literal|not enough values"):
            parse_place(wrong)


def _log_place(key: str) -> LogPlace:
    place = parse_place(key)
    assert isinstance(place, LogPlace)
    return place
