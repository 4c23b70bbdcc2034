"""What the ingress answers, and its description for OpenAPI. Bodies name fields and rules, in Indonesian and English, never values of persons.

A refused record is kept: sealed in the agency's quarantine, from where it can be let in later. So it need not be sent again unless mended.
A post of one record that is refused is 422; so is one of several of which none came in. If any came in the post is 202, and those that
did not are named in it, because a sender repeats a whole post that it does not see accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from bus.ingest.kinds.webhook_bodies import EVENT, EVENTS, LINES, PLAIN
from bus.ingest.messages import clip, describe_record, mask
from bus.ingest.source import Reason
from bus.ingest.stream import Outcome, Receipt

PROBLEM = "application/problem+json"
_TITLES: Mapping[int, tuple[str, str]] = {
    400: ("isi kiriman tidak dapat dibaca", "the body cannot be read"),
    401: ("kunci atau tanda tangan tidak sah", "the key or the signature is not valid"),
    404: ("tidak ada sumber dengan nama itu", "there is no source of that name"),
    405: ("metode tidak didukung", "the method is not supported"),
    408: ("kiriman terlalu lambat", "the body came too slowly"),
    413: ("kiriman terlalu besar", "the post is too large"),
    415: ("jenis isi tidak didukung", "the type of the content is not supported"),
    422: ("tidak ada catatan yang diterima", "no record was accepted"),
    429: ("terlalu banyak kiriman; ulangi nanti", "too many posts; send again later"),
    503: ("layanan sedang berhenti; ulangi nanti", "the service is stopping; send again later"),
}


def problem(status: int, why: str = "", *, retry_after: float | None = None, more: Mapping[str, object] | None = None) -> Response:
    """An error (RFC 9457). `retry_after`: seconds after which the same post may be accepted."""
    title_id, title_en = _TITLES[status]
    content = {"type": "about:blank", "status": status, "title": title_en, "title_id": title_id, "detail": mask(why), **(more or {})}
    headers = {"retry-after": str(max(1, round(retry_after + 0.5)))} if retry_after is not None else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(json.dumps(content), status, headers, PROBLEM)


def answer(receipt: Receipt, *, single: bool) -> Response:
    """What became of the records of a post, all of them durable."""
    outcomes = receipt.outcomes
    refused = sum(each.reason is not None for each in outcomes)
    known = sum(each.known for each in outcomes)
    told = {
        "accepted": len(outcomes) - refused - known, "known": known, "refused": refused,
        "records": [_outcome(number, each) for number, each in enumerate(outcomes, 1)],
    }  # fmt: skip
    if refused and refused == len(outcomes):
        return problem(422, "the record is in quarantine" if single else "all records are in quarantine", more=told)
    return Response(json.dumps(told), 202, media_type="application/json")


def _outcome(number: int, outcome: Outcome) -> Mapping[str, object]:
    if outcome.reason is None:
        return {"record": number, "outcome": "known" if outcome.known else "accepted", "number": outcome.number}
    errors = [_error(reason, number) for reason in _all(outcome.reason)]
    return {"record": number, "outcome": "refused", "number": outcome.number, "errors": errors}


def _all(reason: Reason) -> Iterator[Reason]:
    yield reason
    for more in reason.more:
        yield from _all(more)


def _error(reason: Reason, number: int) -> Mapping[str, str]:
    message_id, message_en = describe_record(reason, number)
    return {
        "field": clip(reason.field), "rule": reason.rule, "received": clip(reason.received or reason.shape),
        "allowed": mask(reason.allowed), "message": message_id, "message_en": message_en,
    }  # fmt: skip


_ERROR = {
    "type": "object",
    "required": ["field", "rule", "message", "message_en"],
    "properties": {
        "field": {"type": "string", "description": "Empty when it is the whole record."},
        "rule": {"type": "string", "examples": ["missing_field"]},
        "received": {"type": "string", "description": "What was received, or only its shape where it may be about a person."},
        "allowed": {"type": "string"},
        "message": {"type": "string", "description": "In Indonesian."},
        "message_en": {"type": "string", "description": "In English."},
    },
}
_RECORD = {
    "type": "object",
    "required": ["record", "outcome", "number"],
    "properties": {
        "record": {"type": "integer", "minimum": 1, "description": "Its place in the post, from 1."},
        "outcome": {"enum": ["accepted", "known", "refused"]},
        "number": {"type": "integer", "description": "Its number in our journal; 0 for one that is known."},
        "errors": {"type": "array", "items": _ERROR},
    },
}
_COUNTS = {name: {"type": "integer", "minimum": 0} for name in ("accepted", "known", "refused")}
_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "known", "refused", "records"],
    "properties": {**_COUNTS, "records": {"type": "array", "items": _RECORD}},
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["status", "title", "title_id"],
    "properties": {
        "type": {"type": "string"}, "status": {"type": "integer"}, "title": {"type": "string"}, "title_id": {"type": "string"},
        "detail": {"type": "string"},
    },
}  # fmt: skip
_REFUSED = {**_PROBLEM, "properties": {**_PROBLEM["properties"], **_RESULT["properties"]}}
_EXAMPLE_RECORD = {"tiket": "A-17", "layanan": "KTP-el", "selesai": "2026-03-02T09:14:00+07:00"}
_EXAMPLE_EVENT = {
    "specversion": "1.0", "id": "7f3c", "source": "/mpp/antrian", "type": "id.go.boyolali.mpp.tiket.selesai",
    "time": "2026-03-02T09:14:00+07:00", "data": _EXAMPLE_RECORD,
}  # fmt: skip
_EXAMPLE_REFUSED = {
    "accepted": 1, "known": 0, "refused": 1,
    "records": [
        {"record": 1, "outcome": "accepted", "number": 17},
        {"record": 2, "outcome": "refused", "number": 18, "errors": [
            {"field": "layanan", "rule": "missing_field", "received": "", "allowed": "tiket, layanan, selesai",
             "message": "Catatan 2, kolom layanan: kolom wajib tidak ada; yang dibolehkan: tiket, layanan, selesai.",
             "message_en": "Record 2, field layanan: a required field is missing; allowed: tiket, layanan, selesai."}]},
    ],
}  # fmt: skip
_ANY_RECORD = {"type": "object", "additionalProperties": True}
_EVENT_SCHEMA = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "time": {"type": "string"}, "data": _ANY_RECORD,
    },
}  # fmt: skip


def _content(schema: Mapping[str, object], examples: Sequence[object], media: str = PLAIN) -> dict[str, Any]:
    return {media: {"schema": schema, "examples": {f"example{n}": {"value": each} for n, each in enumerate(examples, 1)}}}


def responses() -> dict[int | str, dict[str, Any]]:
    """The responses of a post, for OpenAPI."""
    known: dict[int | str, dict[str, Any]] = {
        status: {"description": f"{title_en} ({title_id})", "content": _content(_PROBLEM, [], PROBLEM)}
        for status, (title_id, title_en) in _TITLES.items()
        if status != 405
    }
    known[202] = {
        "description": "All records are durable. Those that were refused are named, and kept sealed.",
        "content": _content(_RESULT, [_EXAMPLE_REFUSED]),
    }
    known[422]["content"] = _content(_REFUSED, [], PROBLEM)
    for status in (429, 503):
        known[status]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return known


def request(most: int, body_bytes: int) -> dict[str, Any]:
    """Parameters and body of a post, for OpenAPI."""
    text = {"type": "string"}
    headers = {
        "Idempotency-Key": "The id of a plain post: what was accepted under it is known the second time.",
        "X-Simpul-Signature": 't=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." and the body as sent>',
        "Content-Encoding": "gzip, where the line is slow.",
    }
    body = {
        **_content(
            {"oneOf": [_ANY_RECORD, {"type": "array", "items": _ANY_RECORD, "maxItems": most}]}, [_EXAMPLE_RECORD, [_EXAMPLE_RECORD]]
        ),
        **_content(text, [json.dumps(_EXAMPLE_RECORD) + "\n"], LINES[0]),
        **_content(_EVENT_SCHEMA, [_EXAMPLE_EVENT], EVENT),
        **_content({"type": "array", "items": _EVENT_SCHEMA, "maxItems": most}, [[_EXAMPLE_EVENT]], EVENTS),
    }
    return {
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": text} for name in ("agency", "source")),
            *({"name": name, "in": "header", "required": False, "schema": text, "description": what} for name, what in headers.items()),
        ],
        "requestBody": {
            "required": True,
            "description": f"At most {most} records and {body_bytes} bytes. Records of long ago are welcome. CloudEvents in binary mode have "
            "their attributes in ce- headers.",
            "content": body,
        },
        "security": [{"bearer": []}, {"key": []}, {"signature": []}],
    }


#: How a sender shows who it is.
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "signature": {"type": "apiKey", "in": "header", "name": "X-Simpul-Signature"},
}
