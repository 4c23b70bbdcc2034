"""Each K rule finds its own fault, and no other rule does; the repository's schemas pass all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bus.events.lock import read_lock, write_lock
from bus.events.release import release
from bus.events.rules import RULES, SchemaSubject, subjects
from bus.events.schema import Schema
from tests.unit.events.generated import SCHEMAS, event_avro

PATH = "events/test/thing.happened.v1.avsc"
DOC = {"doc": "Said."}


def documented(*fields: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return event_avro([field | DOC for field in fields], **properties)


def write(root: Path, avro: Any, path: str = PATH) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(avro if isinstance(avro, str) else json.dumps(avro))


def findings(root: Path) -> dict[str, list[str]]:
    [subject] = subjects([root])
    found = {number: [problem.what for problem in rule(subject)] for number, (_, rule) in RULES.items()}
    assert all(problem.rule == number for number, (_, rule) in RULES.items() for problem in rule(subject))
    return {number: problems for number, problems in found.items() if problems}


@pytest.mark.parametrize("subject", subjects([SCHEMAS]), ids=lambda subject: subject.id)
@pytest.mark.parametrize("number", RULES)
def test_the_repositorys_schemas_pass(subject: SchemaSubject, number: str) -> None:
    assert list(RULES[number][1](subject)) == []


def not_json(root: Path) -> None:
    write(root, "{")


def not_a_record(root: Path) -> None:
    write(root, '["null", "string"]')


def not_avro(root: Path) -> None:
    write(root, documented({"name": "n", "type": {"type": "enum", "name": "E", "symbols": ["A", "A"], "default": "A"}}))


def wrong_place(root: Path) -> None:
    write(root, documented(), "events/test/thing.vanished.v1.avsc")


def no_place(root: Path) -> None:
    write(root, documented(), "things/thing.avsc")


def no_envelope(root: Path) -> None:
    write(root, documented() | {"fields": [{"name": "n", "type": "int"} | DOC]})


def no_doc(root: Path) -> None:
    write(root, event_avro([{"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "R", "fields": [
        {"name": "deep", "type": "int"}]}}} | DOC]))  # fmt: skip


def changed(root: Path) -> None:
    write(root, documented())
    release(root)
    write(root, documented({"name": "n", "type": ["null", "int"], "default": None}))


def not_locked(root: Path) -> None:
    write(root, documented())
    write_lock(root, [])


def broken_history(root: Path) -> None:
    write(root, documented({"name": "n", "type": "int", "default": 1}))
    release(root)
    [first] = read_lock(root) or ()
    schema = documented({"name": "n", "type": "string", "default": ""})
    write(root, schema)
    write_lock(root, [first, type(first)(2, first.name, 2, Schema(first.name, schema, 2).fingerprint, schema)])


def money_as_double(root: Path) -> None:
    write(root, documented({"name": "total_price", "type": "double"}))


def money_without_scale(root: Path) -> None:
    write(root, documented({"name": "amount", "type": "long"}))


def time_as_text(root: Path) -> None:
    write(root, documented({"name": "served_at", "type": ["null", "string"], "default": None}))


def millis(root: Path) -> None:
    write(root, documented({"name": "n", "type": {"type": "long", "logicalType": "timestamp-millis"}}))


def enum_without_default(root: Path) -> None:
    write(root, documented({"name": "n", "type": {"type": "enum", "name": "E", "symbols": ["A"]}}))


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("K01", not_json), ("K01", not_a_record), ("K01", not_avro),
        ("K02", wrong_place), ("K02", no_place), ("K02", no_envelope),
        ("K03", no_doc), ("K04", changed), ("K04", not_locked), ("K05", broken_history),
        ("K06", money_as_double), ("K06", money_without_scale), ("K06", time_as_text), ("K06", millis), ("K06", enum_without_default),
    ],
)  # fmt: skip
def test_a_fault_is_found_by_its_rule_and_by_no_other(tmp_path: Path, number: str, fault: Callable[[Path], None]) -> None:
    fault(tmp_path)
    assert list(findings(tmp_path)) == [number]


def test_a_sample_that_does_not_come_back_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, documented({"name": "at_last", "type": "int"}))
    assert findings(tmp_path) == {}
    monkeypatch.setattr("bus.events.codec.resolve_datum", lambda *_: {**_[2], "at_last": 0})
    assert list(findings(tmp_path)) == ["K07"]


def test_docs_name_the_field_by_its_path(tmp_path: Path) -> None:
    no_doc(tmp_path)
    assert findings(tmp_path) == {"K03": ["field list.deep has no doc"]}
