"""What an indicator may read of a person."""

from __future__ import annotations

from typing import Any

import pytest

from bus.events.catalogue import build
from bus.events.schema import EventSchema
from bus.indicators.privacy import fields_read, privacy_problems, unread_fields
from bus.indicators.spec import Spec
from tests.unit.events.generated import TYPE, event_avro

EVENT = build(
    TYPE,
    event_avro(
        [
            {"name": "person", "type": "string", "pii": "direct"},
            {"name": "address", "type": "string", "pii": "quasi", "sealed": True},
            {"name": "age", "type": "string", "pii": "quasi", "generalised": "age band"},
            {"name": "born", "type": {"type": "int", "logicalType": "date"}, "pii": "quasi"},
            {"name": "service", "type": "string"},
        ]
    ),
    1,
)


def spec(**parts: Any) -> Spec:
    given = {"id": "test.x", "title": {"id": "x", "en": "x"}, "event": TYPE, "measure": {"kind": "count"}, "window": "1mo", "unit": "x"}
    return Spec.model_validate(given | {"publish": {"class": "berkala"}} | parts)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"by": ["service", "age"]}, ""),
        ({"measure": {"kind": "distinct", "of": "person"}}, ""),
        ({"measure": {"kind": "register", "fields": ["person", "age"]}, "window": "now"}, ""),
        ({"where": "person IS NOT NULL AND age = '0-4'"}, ""),
        ({"by": ["person"]}, "names a person"),
        ({"by": {"x": "left(person, 10)"}}, "names a person"),
        ({"by": {"x": "left(subject, 10)"}}, "names a person"),
        ({"reporter": "person"}, "names a person"),
        ({"measure": {"kind": "max", "of": "length(person)"}}, "only be told apart"),
        ({"measure": {"kind": "distinct", "of": "address"}}, "is sealed"),
        ({"where": "address IS NULL"}, "is sealed"),
        ({"by": ["born"]}, "not made coarse"),
        ({"where": "born > DATE '2000-01-01'"}, "not made coarse"),
        ({"region": "address"}, "is sealed"),
    ],
)
def test_what_is_read(parts: dict[str, Any], says: str) -> None:
    assert isinstance(EVENT, EventSchema)
    found = list(privacy_problems(spec(**parts), EVENT, "x.toml"))
    assert [problem.rule for problem in found] == ["I09"] * bool(says)
    assert all(says in problem.what for problem in found)


def test_what_nobody_reads_is_found() -> None:
    assert isinstance(EVENT, EventSchema)
    reading = {"a": spec(by=["age"]), "b": spec(where="service = 'x'")}
    assert fields_read(reading["a"]) == {"age"}
    assert unread_fields(EVENT, reading) == ["born"]
    assert unread_fields(EVENT, {}) == ["age", "born"]
