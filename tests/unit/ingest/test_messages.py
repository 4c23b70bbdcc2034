"""What people read: complete, and without what must not be shown."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bus.errors import RecordError, SourceChanged
from bus.ingest.messages import clip, describe, mask, shape_of
from bus.ingest.record import parse
from bus.ingest.source import Reason
from bus.settings import ROOT


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nik: str = Field(max_length=3, json_schema_extra={"pii": "direct"})
    age: int = Field(ge=0, le=150)


def test_long_numbers_are_only_described() -> None:
    assert mask("warga 3309014101900001 dan 12") == "warga <16 digits> dan 12"
    for apart in ("warga 3309 0141 0190 0001", "hp 0812-3456-7890", "\u200b".join("3309014101900001")):
        assert not any(part in clip(apart) for part in ("3309", "3456", "0001"))
        assert not any(part in mask(apart) for part in ("3309", "3456", "0001"))
    assert shape_of("3309014101900001") == "16 digits"
    assert shape_of("Budi 7") == "6 characters, letters and digits and blanks"
    assert clip("a\n" + "b" * 200) == "a " + "b" * 77 + "…"


def test_both_languages_say_file_line_field_value_and_what_is_allowed() -> None:
    reason = Reason("out_of_range", "pm10", received="501", allowed="1..500")
    assert describe(reason, file="a.csv", line=7) == (
        "Berkas a.csv, baris 7, kolom pm10: nilai di luar batas; diterima '501'; yang dibolehkan: 1..500.",
        "File a.csv, line 7, field pm10: the value is out of range; received '501'; allowed: 1..500.",
    )


def test_an_unknown_rule_says_its_own_words() -> None:
    assert describe(Reason("own", detail="too late"), file="a.csv", line=0)[1] == "File a.csv: too late."


def test_nothing_is_said_twice_nor_in_the_other_language() -> None:
    for rule in ("type", "own"):
        reason = Reason(rule, "pm10", received="x", allowed="1..5", detail="lab: field pm10: received 'x'; allowed: 1..5")
        for text, once in zip(describe(reason, file="a.csv", line=7), ("diterima 'x'", "received 'x'"), strict=True):
            assert text.count(once) == text.count("1..5") == 1
        assert "received" not in describe(reason, file="a.csv", line=7)[0]


#: Rules of which a message may carry its own words: nobody's data were refused by them.
_OWN_WORDS = {"not_kept", "sealed", "undecodable"}


def test_every_rule_that_a_record_is_refused_by_has_its_words() -> None:
    found: set[str] = set()
    for folder in ("bus/events", "bus/ingest", "connectors"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(re.findall(r"""(?:rule=|Reason\(|_Refused\()"([a-z_]+)\"""", path.read_text()))
    assert len(found) > 20
    wordless = {rule for rule in found if "cannot be accepted" in describe(Reason(rule, received="x", detail="x"), file="", line=0)[1]}
    assert wordless <= _OWN_WORDS


@pytest.mark.parametrize(
    ("record", "kind", "rule", "field", "received"),
    [
        ({"nik": "1", "age": "5", "x": "1"}, SourceChanged, "unknown_field", "x", ""),
        ({"nik": "1"}, SourceChanged, "missing_field", "age", ""),
        ({"nik": "1", "age": "151"}, RecordError, "out_of_range", "age", "151"),
        ({"nik": "1", "age": "old"}, RecordError, "invalid_value", "age", "old"),
        ({"nik": "3309014101900001", "age": "5"}, RecordError, "out_of_range", "nik", "16 digits"),
    ],
)
def test_a_models_error_becomes_ours(record: dict[str, object], kind: type[RecordError], rule: str, field: str, received: str) -> None:
    with pytest.raises(kind) as caught:
        parse(Row, record)
    assert (caught.value.rule, caught.value.field, caught.value.received) == (rule, field, received)
    assert caught.value.__cause__ is None
