"""What is in a post: plain JSON (one object, a list, JSON Lines) or CloudEvents (structured, batched, binary), as records. Pure.

A CloudEvent's record is its `data`, with the attributes that the manifest asks for; its id is `source` and `id`, as the standard says.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from bus.ingest.kinds.json_records import digest, lines, load, received
from bus.ingest.kinds.webhook_spec import ATTRIBUTES, WebhookSpec
from bus.ingest.source import Reason
from bus.ingest.stream import Received

PLAIN = "application/json"
LINES = ("application/x-ndjson", "application/jsonl", "application/json-lines", "application/x-jsonlines")
EVENT, EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
TYPES = (PLAIN, *LINES, EVENT, EVENTS)


class Unreadable(Exception):
    """The post as a whole cannot be read: the HTTP status that says so, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True)
class Posted:
    """The records of a post; `single`: it holds one and says so by its form."""

    records: list[Received]
    single: bool


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its compression. Raises `Unreadable`."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Unreadable(415, f"Content-Encoding {encoding[:40]!r}; allowed: gzip, identity")
    reader = zlib.decompressobj(wbits=31)
    try:
        found = reader.decompress(body, limit + 1)
    except zlib.error:
        raise Unreadable(400, "the body is no gzip") from None
    if len(found) > limit:
        raise Unreadable(413, f"unpacked the body is larger than {limit} bytes")
    if not reader.eof or reader.unused_data:
        raise Unreadable(400, "the body is not one whole gzip")
    return found


def posted(spec: WebhookSpec, headers: Mapping[str, str], body: bytes, *, most: int) -> Posted:
    """The records in a body of at most `most` records. Raises `Unreadable`."""
    media = _media(headers.get("content-type", ""))
    binary = "ce-specversion" in headers or "ce-id" in headers
    try:
        if media in LINES:
            found = Posted(_all(spec, lines(body), most, headers.get("idempotency-key", "")), single=False)
        elif media == EVENT:
            found = Posted([_event(spec, load(body))], single=True)
        elif media == EVENTS:
            items = load(body)
            if not isinstance(items, list):
                raise Unreadable(400, f"{EVENTS} is a list of events")
            found = Posted([_event(spec, item) for item in _few(items, most)], single=False)
        elif binary:
            attributes = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")}
            found = Posted([_event(spec, {**attributes, "data": load(body)})], single=True)
        else:
            found = _plain(spec, load(body), most, headers.get("idempotency-key", ""))
    except ValueError as error:
        # the library's text tells a place; it does not quote
        raise Unreadable(400, f"the body is no JSON in UTF-8: {_told(error)}") from None
    return found


def _media(content_type: str) -> str:
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    if media not in TYPES:
        raise Unreadable(415, f"Content-Type {media[:60]!r}; allowed: {', '.join(TYPES)}")
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise Unreadable(415, "the charset is not utf-8")
    return media


def _plain(spec: WebhookSpec, document: object, most: int, idempotency: str) -> Posted:
    if isinstance(document, list):
        return Posted(_all(spec, document, most, idempotency), single=False)
    return Posted([_record(spec, document, digest("key", idempotency) if idempotency else "")], single=True)


def _all(spec: WebhookSpec, items: Iterable[object], most: int, idempotency: str) -> list[Received]:
    return [
        item if isinstance(item, Received) else _record(spec, item, digest("key", idempotency, str(number)) if idempotency else "")
        for number, item in enumerate(_few(items, most))
    ]


def _few(items: Iterable[object], most: int) -> Iterator[object]:
    for number, item in enumerate(items):
        if number >= most:
            raise Unreadable(413, f"more than {most} records in one post")
        yield item


def _record(spec: WebhookSpec, item: object, otherwise: str) -> Received:
    found = received(item, id_=otherwise, deleted=_deleted(spec, item))
    if spec.id is None or found.problem is not None:
        return found
    given = found.values.get(spec.id)
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        return Received(raw=found.raw, problem=Reason("missing_field", spec.id, allowed="teks atau bilangan/a text or number"))
    return Received(found.values, found.raw, digest("id", str(given)), found.deleted)


def _event(spec: WebhookSpec, event: object) -> Received:
    """One CloudEvent."""
    outer = received(event)
    if not isinstance(event, dict) or outer.problem is not None:
        return outer
    wrong = [
        Reason("missing_field", name, allowed="CloudEvents 1.0")
        for name in ("id", "source", "type")
        if not (isinstance(event.get(name), str) and event[name])
    ]
    if event.get("specversion") != "1.0":
        wrong.append(Reason("invalid_value", "specversion", allowed="1.0"))
    wrong += [
        Reason("invalid_value", name, shape=type(event[name]).__name__, allowed="teks/text")
        for name in ATTRIBUTES[3:]
        if not isinstance(event.get(name, ""), str)
    ]
    kind = event.get("datacontenttype", PLAIN)
    if not isinstance(kind, str) or not _is_json(kind):
        wrong.append(Reason("invalid_value", "datacontenttype", allowed=PLAIN))
    data = _data(event)
    if not isinstance(data, dict):
        wrong.append(Reason("not_an_object", "data", shape=type(data).__name__, allowed="{…}"))
    if wrong:
        return Received(raw=outer.raw, problem=_together(wrong))
    assert isinstance(data, dict)
    asked = {f"ce_{name}": event.get(name) for name in spec.attributes}
    return received(
        {**data, **asked}, id_=digest("ce", event["source"], event["id"]), deleted=_deleted(spec, {**data, "ce_type": event["type"]})
    )


def _data(event: Mapping[str, object]) -> object:
    packed = event.get("data_base64")
    if not isinstance(packed, str) or "data" in event:
        return event.get("data")
    try:
        return load(base64.b64decode(packed, validate=True))
    except (binascii.Error, ValueError):
        return packed


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media == PLAIN or media.endswith("+json")


def _deleted(spec: WebhookSpec, item: object) -> bool:
    return spec.deleted is not None and isinstance(item, dict) and spec.deleted.holds(item.get(spec.deleted.field))


def _together(wrong: list[Reason]) -> Reason:
    first, *others = wrong
    return Reason(first.rule, first.field, first.received, first.shape, first.allowed, first.detail, tuple(others))


def _told(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start}"
    return str(error) if type(error) is not ValueError or "deeply" in str(error) else "a number that JSON does not know"
