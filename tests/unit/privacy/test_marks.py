"""What a mapping puts in the place of a person never prints, and is replaced or refused at the door."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from bus.errors import ConfigurationError, RecordError, SourceChanged
from bus.events.envelope import Event
from bus.events.personal import fits, is_pseudonym
from bus.ingest.privacy import BLANK, Dropped, Identifier, Nik, NoKk, PersonName, Phone, sealed, subject_of
from bus.ingest.privacy.door import Door, NoKeys, SampleKeys, sample_door
from bus.ingest.privacy.models import personal_fields, pii_of
from bus.ingest.record import parse
from bus.ingest.rows import content_of

NIK, KK, PHONE, NAME = "3309121203990001", "3309121203150002", "081234567890", "Budi  Santoso"
DAY = datetime(2026, 1, 2, tzinfo=UTC)


class NoRm(Identifier):
    kind = "no_rm"


class Visit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    nik: Nik
    kk: NoKk | None = None
    hp: Annotated[Phone | None, BLANK] = None
    nama: PersonName
    rm: NoRm | None = None
    day: date = date(2026, 1, 2)


def visit(**values: object) -> Visit:
    return parse(Visit, {"nik": NIK, "nama": NAME} | values)


def event(row: Visit, **data: object) -> Event:
    return Event("rsud.visit.recorded.v1", subject_of(row.nik, row.day), DAY, {"person": row.nik, **data})


def test_nothing_of_a_person_is_printed() -> None:
    row = visit(kk=KK, hp=PHONE, rm="rm 12.34")
    for text in (repr(row), str(row), f"{row.nik} {row.nama!r} {row.hp:>20}", repr(event(row, x=sealed("Jl. Merbabu 3"))), str({row.nik})):
        for raw in (NIK, KK, PHONE[1:], "BUDI", "Budi", "12.34", "Merbabu"):
            assert raw not in text


def test_equal_persons_have_equal_pseudonyms() -> None:
    door = sample_door()
    one = {
        door.pseudonym(visit(nik=each).nik)
        for each in (NIK, f" {NIK} ", "3309 1212 0399 0001", "33.09.12.120399.0001", "\u200b".join(NIK), int(NIK))
    }
    assert len(one) == 1
    assert is_pseudonym(one.pop())
    assert (
        len(
            {
                door.pseudonym(Phone.read(each))
                for each in (PHONE, "+62 812-3456-7890", "6281234567890", "81234567890", "+62 0812 3456 7890")
            }
        )
        == 1
    )
    assert len({door.pseudonym(PersonName.read(each)) for each in (NAME, "BUDI SANTOSO", " budi santoso\n")}) == 1
    other = Door(SampleKeys("another domain"))
    assert door.pseudonym(visit().nik) != other.pseudonym(visit().nik)
    assert door.pseudonym(Nik.read(KK)) != door.pseudonym(NoKk.read(KK)), "the same digits of two kinds are two things"


def test_the_door_replaces_every_mark() -> None:
    row = visit(kk=KK, hp=PHONE)
    passed = sample_door()(
        event(row, family=row.kk, deep={"phones": [row.hp, None]}, address=sealed("Jl. Merbabu 3"), n=3, none=sealed(None))
    )
    assert passed.subject == f"{passed.data['person']}/2026-01-02"
    assert is_pseudonym(str(passed.data["family"]))
    assert fits("sealed", str(passed.data["address"]))
    assert passed.data["none"] is None
    text = content_of(passed)
    assert json.loads(text)
    assert not any(raw in text for raw in (NIK, KK, PHONE[1:], "Merbabu"))
    again = sample_door()(
        event(
            visit(nik=f"{NIK} ", kk=KK, hp="+62 812 3456 7890"),
            family=row.kk,
            deep={"phones": [row.hp, None]},
            address=sealed("Jl. Merbabu 3"),
            n=3,
            none=None,
        )
    )
    assert content_of(again) == text, "unchanged must compare equal"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda row: Event("a.b.c.v1", f"{row.nik}/1", DAY, {}),
        lambda row: Event("a.b.c.v1", "s", DAY, {"x": f"{row.nama}"}),
        lambda row: Event("a.b.c.v1", "s", DAY, {"x": ["a", {"b": str(row.hp)}]}),
        lambda row: Event("a.b.c.v1", "x" + subject_of(row.nik), DAY, {}),
        lambda row: Event("a.b.c.v1", subject_of("a", f"{row.nik}"), DAY, {}),
    ],
)
def test_a_mark_made_into_text_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(RecordError) as caught:
        sample_door()(wrong(visit(hp=PHONE)))
    assert caught.value.rule == "not_replaced"


def test_without_keys_nothing_is_replaced_by_accident() -> None:
    with pytest.raises(ConfigurationError):
        Door(NoKeys())(event(visit()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nik", "330912120399001"), ("nik", "3309123203990001"), ("nik", "9909121203990001"), ("nik", "3309121203990000"), ("nik", ""),
        ("nik", "NIK 3309121203990001"), ("nik", 3309121203990001.0), ("nik", True), ("nik", [NIK]), ("nik", None),
        ("kk", "3309125203150002"), ("hp", "0276321045"), ("hp", "08123"), ("nama", "B00DI"), ("nama", "---"), ("nama", "x" * 201),
    ],
)  # fmt: skip
def test_what_is_no_identifier_is_refused_by_its_shape(field: str, value: object) -> None:
    with pytest.raises(RecordError) as caught:
        visit(**{field: value})
    error = caught.value
    assert error.field == field
    assert error.rule == "invalid_value"
    if isinstance(value, str) and len(value) > 3:
        assert value not in f"{error} {error.received} {error.allowed}"


def test_the_simulation_stays_in_the_simulation() -> None:
    invented = visit(nik="0009121203990001", hp="0800-1234-567")
    assert is_pseudonym(sample_door().pseudonym(invented.nik))
    for mark in (invented.nik, invented.hp):
        assert mark is not None
        with pytest.raises(RecordError) as caught:
            Door(SampleKeys()).pseudonym(mark, "nik")
        assert caught.value.rule == "simulated"


def test_a_dropped_field_is_known_and_not_printed() -> None:
    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid")
        nama: Dropped
        kelas: int

    row = parse(Row, {"nama": NAME, "kelas": 3})
    assert "Budi" not in repr(row)
    assert pii_of(Row, "nama") == "direct"
    for record in ({"kelas": 3}, {"nama": NAME, "kelas": 3, "x": 1}):
        with pytest.raises(SourceChanged):
            parse(Row, record)


def test_keys_of_records_are_hidden() -> None:
    door = sample_door()
    plain = door.key(("A1", 7, None, "2026-01-02"))
    assert plain == ("A1", "7", "", "2026-01-02")
    hidden = door.key((NIK, visit().nik, "Budi Santoso", PHONE), personal={2})
    assert all(map(is_pseudonym, hidden))
    assert door.key(("budi  santoso",), personal={0}) == (hidden[2],)
    assert door.key((hidden[0],), personal={0}) == (hidden[0],)


def test_models_say_what_is_personal() -> None:
    def to_events(record: object) -> object:
        return record

    assert personal_fields(to_events) == {"nik", "kk", "hp", "nama", "rm"}
    assert pii_of(Visit, "hp") == "direct"
    assert pii_of(Visit, "day") == ""


@given(st.text(max_size=40))
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    for kind in (Nik, NoKk, Phone, PersonName, NoRm):
        with contextlib.suppress(RecordError):
            assert is_pseudonym(sample_door().pseudonym(kind.read(text, "x")))
