"""Messages of sensors from an MQTT broker (MQTT 5), acknowledged to it only when they are durable in the journal.

**What it promises.** The broker keeps a session for us: what sensors publish with QoS 1 while we are away waits there. A message is
acknowledged after the transaction that holds it, so none is lost by a kill of ours. One that comes again because we died between the two
is known: by its number in the session, and, where the manifest names `id` fields, by its topic and these for as long as the journal
remembers ids (90 days), also when the broker died and lost what it knew of us.

**Topics.** `dlh/+station/+parameter` subscribes to `dlh/+/+`; the levels become fields. A field that topic and payload both have must
agree. `payload = "json"` wants an object, `"number"` a bare number (kept as text). What cannot be read goes into quarantine.

**Status and last will.** A will is a message like any other, published by the broker in a sensor's name when it is gone. The topics where
sensors say that they are there and where their wills go are named in `status`: their text ("online", "offline") becomes the field
`status` of a record that otherwise has only the fields of the topic, so that a mapping tells it from a measurement. With `payload = "json"`
wills may be objects too: then name them among `topics`.

**Retained messages** are the current state, sent when our subscription is new to the broker. They are records like any other: where the source has
a `key`, one that says what is known gives no event. An empty retained message removes a retained one at the broker; it says nothing
of the sensor, and is no record.

**What it cannot promise.**
- What a sensor publishes with QoS 0 may be lost on its way, and what a broker drops because its own queue is full (Mosquitto keeps 1,000
  messages a client unless `max_queued_messages` says more) or forgets in a crash (`persistence true`, and what was not saved yet is lost)
  never reaches us. Sensors that say it again are safe: `id` knows it.
- Without `id`, a broker that forgot our acknowledgements in a crash of its own, or a sensor that repeats what it was not acknowledged,
  doubles a message; with a `key` that changes no number, without one it counts twice.
- A record with `received_at` is another record each time that it is received for the first time; a retained one comes again as news when the broker
  lost our session.
- Silence: that everything up to some time has been said is not known, so there are no heartbeats but those of the messages themselves.
- One connection has the session. Two machines with the same source would take it from each other; run one, or set another `mqtt_client_id`.
- With an end (`--once`, `--until-idle`) it reads nothing: a broker has no end. What waits is read by the next run without one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

import structlog
from aiomqtt import MqttError

from bus.errors import TransientError
from bus.ingest.context import SourceContext
from bus.ingest.kinds.mqtt_session import IN_FLIGHT, Address, Arrived, Session
from bus.ingest.kinds.mqtt_spec import STATUS, MqttSpec
from bus.ingest.source import Reason
from bus.ingest.stream import Reading, Received, Sink
from bus.ingest.stream_runner import unusable

_log = structlog.get_logger(__name__)

#: Bytes of a payload; a longer one is no measurement.
_LONGEST = 256 * 1024
#: Characters of a payload that cannot be read, kept for whoever opens the quarantine.
_KEPT = 64 * 1024
_DAY_SECONDS = 86_400
_NUMBER = re.compile(r"^[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$")


class MqttSource:
    """Reads the topics of one source. Its cursor remembers the newest messages of the session, by their numbers."""

    def __init__(self, context: SourceContext, values: Mapping[str, str]) -> None:
        """Raises `ConfigurationError` for an address that cannot be used."""
        assert isinstance(context.spec, MqttSpec)
        self._context = context
        self._spec = context.spec
        try:
            self._address = Address.parse(values[self._spec.setting], values.get("mqtt_ca", ""))
        except ValueError as error:
            raise unusable(context, self._spec.setting, str(error)) from None
        self._client_id = values.get("mqtt_client_id") or f"simpul-{context.agency.id}-{context.source_id}"

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        """See `StreamSource.run`."""
        if until_end:
            _log.info("a source rests", source=self._context.name, reason="an MQTT broker has no end; it is read by a run without one")
            return
        session = Session(self._address, self._client_id, session_seconds=self._spec.session_days * _DAY_SECONDS)
        try:
            async with session:
                if not session.resumed and sink.cursor:
                    # A broker that does not know us numbers from the beginning: its numbers are not those that we remember.
                    await sink.take(Reading((), "MQTT", {}))
                window = Window(sink.cursor)
                await session.subscribe_all(self._spec.subscriptions)
                async for arrived in session.batches():
                    await self._take(sink, window, arrived)
                    session.acknowledge(arrived)
        except (MqttError, OSError) as error:
            raise TransientError(f"MQTT at {self._address.host}:{self._address.port}: {error}") from error

    async def _take(self, sink: Sink, window: Window, arrived: Sequence[Arrived]) -> None:
        news = [each for each in arrived if not window.knows(each)]
        records = [record for each in news if (record := self._record(each)) is not None]
        for each in news:
            window.add(each)
        if records:
            await sink.take(Reading(records, "MQTT", window.cursor))

    def _record(self, arrived: Arrived) -> Received | None:
        return received(self._spec, arrived, self._context.clock.now().isoformat())


class Window:
    """The newest messages of the session that are durable: what the broker may send again is among them, for it has no more in flight."""

    def __init__(self, cursor: Mapping[str, object]) -> None:
        known = cursor.get("window", [])
        assert isinstance(known, list)
        self._digests: dict[int, str] = dict(known)

    def knows(self, arrived: Arrived) -> bool:
        """Whether it is a repetition. Only one that the broker calls so can be: numbers are used again."""
        return arrived.again and arrived.qos > 0 and self._digests.get(arrived.number) == _digest(arrived)

    def add(self, arrived: Arrived) -> None:
        """It is being made durable."""
        if arrived.qos:
            self._digests.pop(arrived.number, None)
            self._digests[arrived.number] = _digest(arrived)
            while len(self._digests) > IN_FLIGHT:
                del self._digests[next(iter(self._digests))]

    @property
    def cursor(self) -> Mapping[str, object]:
        return {"window": [[number, digest] for number, digest in self._digests.items()]}


def received(spec: MqttSpec, arrived: Arrived, now: str) -> Received | None:
    """What a message says; None when it says nothing. Pure."""
    if arrived.retained and not arrived.payload:
        return None
    if len(arrived.payload) > _LONGEST:
        return _unreadable(arrived, Reason("record_too_long"))
    for pattern in spec.status_patterns:
        if (fields := pattern.fields(arrived.topic)) is not None:
            return _record(spec, arrived, fields, {STATUS: arrived.payload.decode(errors="replace").strip()}, now, needs_id=False)
    fields = next((found for pattern in spec.patterns if (found := pattern.fields(arrived.topic)) is not None), None)
    if fields is None:
        return None  # the broker remembers a subscription of an earlier manifest
    said = _reason_or_values(spec, arrived.payload)
    if isinstance(said, Reason):
        return _unreadable(arrived, said)
    return _record(spec, arrived, fields, said, now, needs_id=True)


def _record(
    spec: MqttSpec, arrived: Arrived, fields: Mapping[str, str], said: Mapping[str, object], now: str, *, needs_id: bool
) -> Received:  # fmt: skip
    values = {**said, **fields, **({spec.received_at: now} if spec.received_at else {})}
    for name, value in fields.items():
        if name in said and str(said[name]) != value:
            return _unreadable(arrived, Reason("invalid_value", field=name, allowed="sama dengan topik/the same as in the topic"))
    if spec.received_at and spec.received_at in said:
        return _unreadable(arrived, Reason("unknown_field", field=spec.received_at))
    if missing := [name for name in spec.id if values.get(name) is None]:
        if needs_id:
            return _unreadable(arrived, Reason("missing_field", field=missing[0]))
        return Received(values)
    return Received(values, id=_id(arrived.topic, [values[name] for name in spec.id]) if spec.id else "")


def _reason_or_values(spec: MqttSpec, payload: bytes) -> Reason | Mapping[str, object]:
    if spec.payload == "number":
        number = _number(payload)
        return Reason("invalid_value", field=spec.field, allowed="angka/a number") if number is None else {spec.field: number}
    try:
        found = json.loads(payload, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else Reason("invalid_value", allowed="objek JSON/a JSON object")


def _number(payload: bytes) -> str | None:
    """A decimal number as its text; None when it is none."""
    text = payload.decode(errors="replace").strip()
    return text if _NUMBER.match(text) else None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _unreadable(arrived: Arrived, reason: Reason) -> Received:
    raw = json.dumps({"topic": arrived.topic, "payload": arrived.payload[:_KEPT].decode(errors="replace")}, ensure_ascii=False)
    return Received(raw=raw, problem=reason)


def _digest(arrived: Arrived) -> str:
    return hashlib.sha256(arrived.topic.encode() + b"\0" + arrived.payload).hexdigest()[:16]


def _id(topic: str, values: Sequence[object]) -> str:
    """A name for the message, from which nothing of it can be read."""
    return hashlib.sha256(json.dumps([topic, values], default=str).encode()).hexdigest()[:32]
