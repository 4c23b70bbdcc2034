"""A field that would name a person takes a pseudonym and nothing else, whatever a mapping gives it; telephone numbers are found in texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import SchemaViolation
from bus.events.envelope import Envelope, Event, Op
from bus.events.nik import contains_nik, contains_phone
from bus.events.personal import pseudonym_text, sample_text
from bus.events.rules import SchemaSubject, personal_fields_are_safe
from tests.unit.events.generated import TYPE, codec_of, event_avro

PSEUDONYM, SEALED = pseudonym_text(bytes(range(16))), sample_text("sealed", "x")
FIELDS: list[dict[str, Any]] = [
    {"name": "person", "type": ["null", "string"], "pii": "direct", "default": None},
    {"name": "family", "type": {"type": "array", "items": "string"}, "pii": "direct"},
    {"name": "address", "type": ["null", "string"], "pii": "quasi", "sealed": True, "default": None},
    {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "who", "type": "string", "pii": "direct"}]}},
    {"name": "note", "type": "string"},
    {"name": "code", "type": "string", "phone_like": True},
]
GOOD = {"person": PSEUDONYM, "family": [PSEUDONYM], "address": SEALED, "inner": {"who": PSEUDONYM}, "note": "", "code": ""}


def encode(**data: object) -> None:
    codec = codec_of(FIELDS)
    event = Event(TYPE, "s", datetime(2026, 1, 1, tzinfo=UTC), GOOD | data)
    envelope = Envelope(event, "lab/x", 1, 1, Op.CREATE, "lab/x/1")
    value, headers = codec.encode(envelope)
    assert {name: codec.decode(value, headers)[name] for name in GOOD} == GOOD | data


def test_pseudonyms_and_sealed_texts_pass() -> None:
    encode()
    encode(person=None, family=[], address="sealed:erased")


RAW = [
    "Budi Santoso",
    "081234567890",
    "3309121203990001",
    "hmac:",
    f" {PSEUDONYM}",
    f"{PSEUDONYM}\n",
    "hmac:3309121203990001",
    "",
    "hmac:" + "q" * 32,
]


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize("place", ["person", "family", "address", "inner"])
def test_nothing_else_does(place: str, raw: str) -> None:
    value: object = {"person": raw, "family": [PSEUDONYM, raw], "address": raw, "inner": {"who": raw}}[place]
    with pytest.raises(SchemaViolation) as caught:
        encode(**{place: value})
    assert caught.value.rule == ("not_sealed" if place == "address" else "not_pseudonym")
    if len(raw) > 5:
        assert raw not in f"{caught.value} {caught.value.received}"


PHONES = [
    "081234567890", "hubungi 0812-3456-7890 ya", "+62 812 3456 7890", "+6281234567890", "6281234567890", "(0812) 34567890"[1:5] + "34567890",
    "HP:0856.1234.5678", "0812\u200b3456\u200b7890", "０８１２３４５６７８９０", "0812 3456 789", "wa.me/6281234567890",
]  # fmt: skip
NO_PHONES = [
    "0276-321045", "33.09.08.2001.001.002", "330908200100100230", "08-11-2024 12:30", "2024-08-11", "0812", "SP2D 00812/LS/2026", "A081234567890",
    "33.09.080.812.345-6789.0", "123081234567890", "0812345678901234", "081234567890AB", "DKI1/2020-08-12",
    "550e8400-0812-3456-7890-446655440000", "900812345678", "811223344556",
]  # fmt: skip


@pytest.mark.parametrize("text", PHONES)
def test_telephone_numbers_are_found(text: str) -> None:
    assert contains_phone(text)
    with pytest.raises(SchemaViolation) as caught:
        encode(note=text)
    assert caught.value.rule == "phone"
    assert text not in f"{caught.value} {caught.value.received}"
    encode(code=text)


@pytest.mark.parametrize("text", NO_PHONES)
def test_other_numbers_are_none(text: str) -> None:
    assert not contains_phone(text)


@given(
    st.sampled_from(
        [
            "\u200b",
            "\u200c",
            "\u200d",
            "\u2060",
            "\ufeff",
            "\u00ad",
            "\u061c",
            "\u180e",
            "\u202e",
            "\u0301",
            "\ufe0f",
            "\U000e0041",
            "\x00",
            "\x08",
        ]
    )
)
def test_what_is_not_seen_hides_no_nik(hidden: str) -> None:
    assert contains_nik(hidden.join("3309121203990001"))
    assert contains_nik(f"x{hidden}3309{hidden}{hidden}121203990001")


def test_other_digits_hide_no_nik() -> None:
    assert contains_nik("³³⁰⁹¹²¹²⁰³⁹⁹⁰⁰⁰¹")
    assert contains_nik("３３０９１２１２０３９９０００１")
    assert contains_nik("①②⓪⑨①②①②⓪③⑨⑨⓪⓪⓪①".replace("①②⓪⑨", "③③⓪⑨", 1))


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"type": "long", "pii": "direct"}, "direct identifier as long"),
        ({"type": "string", "pii": "secret"}, 'pii is "direct" or "quasi"'),
        ({"type": "string", "pii": "quasi"}, "either"),
        ({"type": "string", "pii": "quasi", "sealed": True, "generalised": "year"}, "either"),
        ({"type": "int", "pii": "quasi", "sealed": True}, "sealed is true, on a string"),
        ({"type": "string", "sealed": True}, "belong to fields"),
        ({"type": "string", "pii": "quasi", "generalised": 5}, "generalised is a text"),
        ({"type": "string", "class": "secret"}, "class is one of"),
        ({"type": "long", "phone_like": True}, "phone_like"),
        ({"type": "string", "pii": "direct", "class": "child"}, ""),
        ({"type": ["null", "string"], "pii": "quasi", "sealed": True, "default": None}, ""),
        ({"type": "string", "pii": "quasi", "generalised": "age band of five years"}, ""),
    ],
)
def test_k09(tmp_path: Path, field: Mapping[str, object], says: str) -> None:
    path = tmp_path / "events" / "test" / "thing.recorded.v1.avsc"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(event_avro([{"name": "x", **field}])))
    found = [problem.what for problem in personal_fields_are_safe(SchemaSubject(tmp_path, path))]
    assert any(says in what for what in found) if says else not found
