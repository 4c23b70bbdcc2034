"""Sensors over a real Mosquitto: what is acknowledged is durable, what comes again is known, and wills and retained messages are records."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bus.errors import ConfigurationError
from bus.ingest.journal import Journal
from bus.ingest.kinds.mqtt import Window, received
from bus.ingest.kinds.mqtt_session import IN_FLIGHT, Address, Arrived, Session
from bus.ingest.kinds.mqtt_spec import MqttSpec, TopicPattern
from bus.ingest.stream import Received
from bus.simulation.mosquitto import Mosquitto
from tests.conftest import MakeMosquitto
from tests.pipeline.ingest_world import World
from tests.sources.mosquitto import Sensor, say_all
from tests.sources.mqtt_site import connector, sensor_world, until


def values(world: World) -> list[dict[str, Any]]:
    return [json.loads(str(envelope.event.data["value"])) for envelope in world.folded()]


async def connected_once(world: World) -> None:
    """The broker knows the connector from now on."""
    async with connector(world):
        await subscribed(world.environ["BUS_LAB__MQTT_URL"])


async def subscribed(url: str) -> None:
    """Another client's subscription is known to the broker, beside ours."""
    async with Session(Address.parse(url), "watcher", session_seconds=0) as session:
        await session.subscribe_all(["$SYS/broker/subscriptions/count"])
        async for batch in session.batches():
            if int(batch[-1].payload) >= 2:
                return


async def test_measurements_and_statuses_become_records(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url)
    await connected_once(world)
    say_all(
        mosquitto, [("lab/S1/pm10", '{"no": 1, "value": 2.5}'), ("lab/S1/status", "online"), ("lab/S1/pm10/raw", "{}"), ("elsewhere", "{}")]
    )
    async with connector(world):
        await until(lambda: len(world.envelopes()) >= 2)
    assert values(world) == [
        {"station": "S1", "parameter": "pm10", "no": 1, "value": 2.5}, {"station": "S1", "status": "online"},
    ]  # fmt: skip


async def test_what_was_said_while_the_connector_was_away_waits_at_the_broker(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url)
    await connected_once(world)
    say_all(mosquitto, [(f"lab/S{n % 3}/pm10", json.dumps({"no": n})) for n in range(1_500)])
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    async with connector(world):
        await until(lambda: len(world.folded()) >= 1_500)
    assert [each["no"] for each in values(world)] == list(range(1_500))


async def test_nothing_is_acknowledged_before_it_is_durable(tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sensor_world(tmp_path, mosquitto.url)
    await connected_once(world)
    sound = Session.acknowledge

    class Killed(BaseException):
        pass

    def dead(*_: object) -> None:
        raise Killed

    # Killed in the transaction: the broker still has everything.
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "put", dead)
        say_all(mosquitto, [("lab/S1/pm10", json.dumps({"no": n})) for n in range(5)])
        with pytest.raises(BaseException):  # noqa: B017, PT011  a kill is no exception of ours
            await world.runner(sleep=asyncio.sleep).run(until_end=False)
    assert not world.envelopes()
    # Killed between the transaction and the acknowledgement: what comes again is known, without any id.
    with monkeypatch.context() as patch:
        patch.setattr(Session, "acknowledge", dead)
        with pytest.raises(BaseException):  # noqa: B017, PT011
            await world.runner(sleep=asyncio.sleep).run(until_end=False)
    seen: list[Arrived] = []

    def noted(self: Session, messages: Any) -> None:
        seen.extend(messages)
        sound(self, messages)

    monkeypatch.setattr(Session, "acknowledge", noted)
    async with connector(world):
        await until(lambda: len(seen) >= 5 and len(world.envelopes()) >= 5)
        assert all(each.again for each in seen)
        say_all(mosquitto, [("lab/S1/pm10", json.dumps({"no": 0}))])
        await until(lambda: len(world.envelopes()) >= 6)
    assert [each["no"] for each in values(world)] == [0, 1, 2, 3, 4, 0], "said anew, it is news"


async def test_an_id_knows_what_a_sensor_says_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url, 'id = ["no"]\n')
    await connected_once(world)
    say_all(mosquitto, [("lab/S1/pm10", json.dumps({"no": n})) for n in (1, 2, 1, 2)])
    say_all(mosquitto, [("lab/S2/pm10", json.dumps({"no": n})) for n in (2, 2, 3)])
    say_all(mosquitto, [("lab/S2/status", "offline")] * 2)
    async with connector(world):
        await until(lambda: len(world.envelopes()) >= 6)
    assert Counter((each["station"], each.get("no")) for each in values(world)) == {
        ("S1", 1): 1, ("S1", 2): 1, ("S2", 2): 1, ("S2", 3): 1, ("S2", None): 2,
    }  # fmt: skip


async def test_a_broker_that_forgot_us_begins_anew_and_nothing_is_taken_for_known(tmp_path: Path, make_mosquitto: MakeMosquitto) -> None:
    first = make_mosquitto(persistence="false")
    world = sensor_world(tmp_path, first.url)
    await connected_once(world)
    say_all(first, [("lab/S1/pm10", json.dumps({"no": 1}))])
    async with connector(world):
        await until(lambda: len(world.envelopes()) == 1)
        first.kill()
        first.start()
        await subscribed(first.url)
        say_all(first, [("lab/S1/pm10", json.dumps({"no": 1}))])
        await until(lambda: len(world.envelopes()) == 2)


async def test_a_retained_message_is_the_state_and_gives_an_event_only_when_it_changed(
    tmp_path: Path, make_mosquitto: MakeMosquitto
) -> None:
    first = make_mosquitto()
    key = 'key = ["station", "parameter"]\n'
    say_all(first, [("lab/S1/pm10", '{"value": 1}')], retain=True)
    world = sensor_world(tmp_path, first.url, key)
    async with connector(world):
        await until(lambda: len(world.envelopes()) == 1)
    # Another broker, which does not know us, has the same state, and one more.
    second = make_mosquitto()
    say_all(second, [("lab/S1/pm10", '{"value": 1}'), ("lab/S2/pm10", '{"value": 1}'), ("lab/S3/pm10", "")], retain=True)
    world.environ["BUS_LAB__MQTT_URL"] = second.url
    async with connector(world):
        await until(lambda: len(world.envelopes()) == 2)
        say_all(second, [("lab/S1/pm10", '{"value": 2}')], retain=True)
        await until(lambda: len(world.envelopes()) == 3)
    assert [(e.op.value, json.loads(str(e.event.data["value"]))["station"]) for e in world.folded()] == [
        ("CREATE", "S1"), ("CREATE", "S2"), ("CORRECT", "S1"),
    ]  # fmt: skip


async def test_a_last_will_is_a_record(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url)
    await connected_once(world)
    sensor = Sensor(mosquitto, "S7", will=("lab/S7/status", "offline"))
    sensor.say("lab/S7/status", "online")
    sensor.settled()
    sensor.vanish()
    async with connector(world):
        await until(lambda: len(world.envelopes()) == 2)
    assert values(world) == [{"station": "S7", "status": "online"}, {"station": "S7", "status": "offline"}]


async def test_what_cannot_be_read_goes_into_quarantine_and_the_next_goes_on(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url, 'id = ["no"]\n')
    await connected_once(world)
    bad = [
        "[1]",
        "x",
        "",
        '{"no": NaN}',
        "{}",
        '{"no": 1, "station": "S2"}',
        '{"no": "\\ud800"}',
        "[" * 100_000,
        '{"no": 9, "value": "unmapped"}',
    ]
    say_all(mosquitto, [("lab/S1/pm10", each) for each in bad] + [("lab/S1/pm10", b"\xff\xfe"), ("lab/S1/pm10", "1" * 300_000)])  # type: ignore[list-item]
    say_all(mosquitto, [("lab/S1/pm10", '{"no": 1, "station": "S1"}')])
    async with connector(world):
        await until(lambda: len(world.envelopes()) == 1)
    rules = Counter(entry.reason["rule"] for entry in await world.quarantine())
    assert rules == {"invalid_value": 8, "missing_field": 1, "record_too_long": 1, "SourceChanged": 1}


async def test_numbers_keep_their_digits(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = sensor_world(tmp_path, mosquitto.url, 'payload = "number"\nreceived_at = "at"\n')
    await connected_once(world)
    say_all(mosquitto, [("lab/S1/pm10", each) for each in ("12.50", " -0.10 ", "1e-3", "12,5", "1_0", "nan", "٣")])
    async with connector(world):
        async with asyncio.timeout(20):
            while len(world.envelopes()) < 3 or len(await world.quarantine()) < 4:
                await asyncio.sleep(0.05)
    assert [each["value"] for each in values(world)] == ["12.50", "-0.10", "1e-3"]
    assert all(each["at"].endswith("+00:00") for each in values(world))
    assert len(await world.quarantine()) == 4


async def test_with_an_end_it_rests(tmp_path: Path) -> None:
    await sensor_world(tmp_path, "mqtt://127.0.0.1:1").run()


async def test_a_wrong_address_is_said_without_it(tmp_path: Path) -> None:
    for url in ("http://u:rahasia@h", "mqtt://", "mqtt://u:rahasia@h:port", "mqtt://h/path"):
        with pytest.raises(ConfigurationError, match="BUS_LAB__MQTT_URL") as raised:
            await sensor_world(tmp_path, url).run()
        assert "rahasia" not in str(raised.value)


# the pure part


@pytest.mark.parametrize(
    ("pattern", "topic", "fields"),
    [
        ("a/+x/c", "a/b/c", {"x": "b"}),
        ("a/+x/c", "a//c", {"x": ""}),
        ("a/+x/c", "a/b/d", None),
        ("a/+x", "a/b/c", None),
        ("a/+x/c", "a/b", None),
        ("a/+/+y", "a/b/c", {"y": "c"}),
        ("a/#rest", "a/b/c", {"rest": "b/c"}),
        ("a/#rest", "a", {"rest": ""}),
        ("#", "a/b", {}),
        ("+x/b", "/b", {"x": ""}),
    ],
)
def test_topics_are_read_by_pattern(pattern: str, topic: str, fields: dict[str, str] | None) -> None:
    assert TopicPattern(pattern).fields(topic) == fields
    assert not list(TopicPattern(pattern).faults())


@pytest.mark.parametrize(
    "said",
    [
        {"topics": ["a/+X"]}, {"topics": ["a/b+"]}, {"topics": ["#x/a"]}, {"topics": [""]}, {"topics": ["+a/+a"]}, {"topics": ["$share/g/a"]},
        {"topics": ["+value"], "payload": "number"}, {"topics": ["a"], "status": ["+status"]}, {"topics": ["a/+at"], "received_at": "at"},
        {"topics": ["a/+x/c", "a/b/+y"]}, {"topics": ["a/+x", "+y/b"]},
        {"topics": ["a"], "received_at": "at", "id": ["at"]},
        {"topics": ["a"], "payload": "number", "received_at": "value"},
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_told(said: dict[str, Any]) -> None:
    assert MqttSpec(type="mqtt", **said).faults()


@pytest.mark.parametrize(
    ("topics", "status", "asked"),
    [
        (["lab/+s/+p"], ["lab/+s/status"], {"lab/+/+"}),
        (["lab/+s/status"], ["lab/#"], {"lab/#"}),
        (["a", "b", "a/+x"], ["c/+x"], {"a", "b", "a/+", "c/+"}),
        (["a/#", "a"], [], {"a/#"}),
        (["a", "a/#"], [], {"a/#"}),
    ],
)
def test_what_another_filter_covers_is_not_asked_for(topics: list[str], status: list[str], asked: set[str]) -> None:
    spec = MqttSpec(type="mqtt", topics=tuple(topics), status=tuple(status))
    assert set(spec.subscriptions) == asked
    assert not spec.faults()


def test_the_window_knows_only_what_the_broker_calls_a_repetition() -> None:
    window = Window({})
    for number in range(1, IN_FLIGHT + 10):
        window.add(Arrived("a", b"x", number, 1, again=False, retained=False))
    window = Window(json.loads(json.dumps(window.cursor)))
    newest = IN_FLIGHT + 9
    assert window.knows(Arrived("a", b"x", newest, 1, again=True, retained=False))
    assert not window.knows(Arrived("a", b"x", newest, 1, again=False, retained=False))
    assert not window.knows(Arrived("a", b"y", newest, 1, again=True, retained=False))
    assert not window.knows(Arrived("a", b"x", 9, 1, again=True, retained=False))
    assert not window.knows(Arrived("a", b"x", newest, 0, again=True, retained=False))


def test_an_empty_retained_message_is_no_record() -> None:
    spec = MqttSpec(type="mqtt", topics=("a",))
    assert received(spec, Arrived("a", b"", 1, 1, again=False, retained=True), "") is None


def test_only_a_status_may_go_without_an_id() -> None:
    spec = MqttSpec(type="mqtt", topics=("+s/pm10",), status=("+s/status",), id=("no",))

    def told(topic: str, payload: bytes) -> Received:
        found = received(spec, Arrived(topic, payload, 1, 1, again=False, retained=False), "now")
        assert found is not None
        return found

    missing = told("S1/pm10", b'{"status": "x", "": 1}').problem
    assert missing is not None
    assert (missing.rule, missing.field) == ("missing_field", "no")
    assert told("S1/status", b"offline").values == {"s": "S1", "status": "offline"}
    assert told("S1/pm10", b'{"no": 1}').id == told("S1/pm10", b'{"no": 1, "more": 2}').id != told("S2/pm10", b'{"no": 1}').id
