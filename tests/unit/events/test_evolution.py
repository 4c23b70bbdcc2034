"""Old records stay readable within a major, on both paths; what would break that is refused, by structure."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bus.errors import ConfigurationError, SchemaMismatch
from bus.events import codec as codec_module
from bus.events.avro import plain
from bus.events.batches import UndecodableRecords, decode_reference
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.compatibility import incompatibilities, transitive_incompatibilities
from bus.events.lock import LOCK_FILE
from bus.events.release import release
from tests.conftest import examples
from tests.unit.events.generated import TYPE, envelope, event_avro

Fields = list[dict[str, Any]]

_KIND = {"type": "enum", "name": "Kind", "symbols": ["ONE", "TWO"], "default": "ONE"}
_MORE = _KIND | {"symbols": ["ONE", "TWO", "THREE"]}
OLD: Fields = [{"name": "n", "type": "int"}, {"name": "kind", "type": _KIND}, {"name": "gone", "type": "long", "default": 0}]
INNER_OLD = {"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}}
INNER_NEW = {"type": "array", "items": {"type": "record", "name": "R", "fields": [
    {"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": None}]}}  # fmt: skip
NEW: Fields = [
    {"name": "added", "type": ["null", "string"], "default": None},
    {"name": "n", "type": "int"},
    {"name": "since", "type": {"type": "int", "logicalType": "date"}, "default": 3},
    {"name": "kind", "type": _MORE},
    {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["GOOD", "BAD"], "default": "GOOD"}, "default": "BAD"},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["x"]},
]


def write(root: Path, fields: Fields, **properties: Any) -> Path:
    path = root / "events" / "test" / "thing.happened.v1.avsc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(event_avro(fields, **properties)))
    return path


def released(root: Path, *versions: Fields) -> list[Codec]:
    codecs = []
    for fields in versions:
        write(root, fields)
        release(root)
        codecs.append(Codec(Catalogue.load([root])))
    return codecs


@pytest.mark.parametrize("hot", [True, False])
def test_a_record_of_an_older_release_is_read_with_the_defaults_of_the_newer(
    tmp_path: Path, hot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = released(tmp_path, OLD, NEW)
    if not hot:
        monkeypatch.setattr(codec_module, "decode_data", decode_reference)
    first = old.encode(envelope({"n": 1, "kind": "TWO", "gone": 9}, number=1))
    data = {"added": "a", "n": 2, "since": date(2024, 1, 1), "kind": "THREE", "mood": "GOOD", "tags": []}
    second = new.encode(envelope(data, number=2))

    decoded = new.decode(*first)
    frame = new.decode_batch(
        TYPE, [second[0], first[0], second[0]], [5, 6, 7], fingerprints=[dict(h)["ce_dataschema"] for _, h in (second, first, second)]
    )

    assert {name: decoded[name] for name in data} == {
        "added": None, "n": 1, "since": date(1970, 1, 4), "kind": "TWO", "mood": "BAD", "tags": ["x"]}  # fmt: skip
    assert frame.drop("_offset").rows(named=True) == [new.decode(*second), decoded, new.decode(*second)]
    assert frame["_offset"].to_list() == [5, 6, 7]
    assert dict(frame.drop("_offset").schema) == new.catalogue[TYPE].polars_schema


def test_a_process_with_the_older_schema_does_not_guess_about_a_newer_record(tmp_path: Path) -> None:
    old, new = released(tmp_path, OLD, [*OLD, {"name": "more", "type": "int", "default": 1}])
    value, headers = new.encode(envelope({"n": 1, "kind": "ONE", "gone": 0, "more": 2}))
    with pytest.raises(SchemaMismatch, match="older schemas"):
        old.decode(value, headers)


def test_going_back_to_fewer_symbols_reads_the_unknown_one_as_the_default(tmp_path: Path) -> None:
    first, second = [{"name": "kind", "type": _MORE}], [{"name": "kind", "type": _KIND}]
    old, new = released(tmp_path, first, second)
    value, headers = old.encode(envelope({"kind": "THREE"}))
    assert new.decode(value, headers)["kind"] == "ONE"
    assert new.decode_batch(TYPE, [value], [0])["kind"].to_list() == ["ONE"]


def test_nested_records_grow_too(tmp_path: Path) -> None:
    old, new = released(tmp_path, [{"name": "list", "type": INNER_OLD}], [{"name": "list", "type": INNER_NEW}])
    values = [old.encode(envelope({"list": [{"a": 1}, {"a": 2}]}))[0], new.encode(envelope({"list": [{"a": 3, "b": "x"}]}))[0]]
    frame = new.decode_batch(TYPE, values, [0, 1])
    assert frame["list"].to_list() == [[{"a": 1, "b": None}, {"a": 2, "b": None}], [{"a": 3, "b": "x"}]]
    assert new.decode(values[0])["list"] == [{"a": 1, "b": None}, {"a": 2, "b": None}]


def test_bad_records_of_several_releases_are_all_named(tmp_path: Path) -> None:
    old, new = released(tmp_path, [], [{"name": "n", "type": "int", "default": 1}])
    values = [old.encode(envelope({}))[0], new.encode(envelope({"n": 1}))[0]]
    with pytest.raises(UndecodableRecords) as raised:
        new.decode_batch(TYPE, [values[1] + b"x", values[0], b"", values[0] + b"x", values[1]], range(5))
    assert raised.value.indices == (0, 2, 3)


def test_ids_and_versions_go_on_and_nothing_in_the_lock_changes(tmp_path: Path) -> None:
    released(tmp_path, OLD)
    before = json.loads((tmp_path / LOCK_FILE).read_text())["schemas"]
    catalogue = released(tmp_path, NEW)[0].catalogue
    after = json.loads((tmp_path / LOCK_FILE).read_text())["schemas"]
    assert after[: len(before)] == before
    assert [(entry["id"], entry["version"]) for entry in after] == [(1, 1), (2, 2)]
    assert [schema.version for schema in catalogue.releases(TYPE)] == [1, 2]
    assert release(tmp_path) == ()


BREAKING: list[tuple[str, Fields, Fields]] = [
    ("added without default", [], [{"name": "n", "type": "int"}]),
    ("removed without default", [{"name": "n", "type": "int"}], []),
    ("int to long", [{"name": "n", "type": "int"}], [{"name": "n", "type": "long"}]),
    ("long to double", [{"name": "n", "type": "long"}], [{"name": "n", "type": "double"}]),
    ("null no more", [{"name": "n", "type": ["null", "string"]}], [{"name": "n", "type": "string"}]),
    ("null now", [{"name": "n", "type": "string"}], [{"name": "n", "type": ["null", "string"]}]),
    ("renamed", [{"name": "a", "type": "int"}], [{"name": "b", "type": "int"}]),
    ("list", [{"name": "n", "type": "int"}], [{"name": "n", "type": {"type": "array", "items": "int"}}]),
    ("items", [{"name": "n", "type": {"type": "array", "items": "int"}}], [{"name": "n", "type": {"type": "array", "items": "string"}}]),
    ("symbol without default", [{"name": "n", "type": {"type": "enum", "name": "E", "symbols": ["A"]}}],
     [{"name": "n", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}}]),
    ("fixed", [{"name": "n", "type": {"type": "fixed", "name": "F", "size": 2}}], [{"name": "n", "type": {"type": "fixed", "name": "F", "size": 3}}]),
]  # fmt: skip

STRICTER: list[tuple[str, Fields, Fields]] = [
    ("scale", [{"name": "n", "type": {"type": "long", "scale": 2}}], [{"name": "n", "type": {"type": "long", "scale": 3}}]),
    ("scale on the field", [{"name": "n", "type": "long", "scale": 2}], [{"name": "n", "type": "long"}]),
    ("unit", [{"name": "n", "type": "long"}], [{"name": "n", "type": {"type": "long", "logicalType": "timestamp-micros"}}]),
    ("bytes", [{"name": "n", "type": "string"}], [{"name": "n", "type": "bytes"}]),
]


@pytest.mark.parametrize(("before", "after"), [pytest.param(b, a, id=name) for name, b, a in BREAKING + STRICTER])
def test_a_breaking_change_is_not_released(tmp_path: Path, before: Fields, after: Fields) -> None:
    released(tmp_path, before)
    lock = (tmp_path / LOCK_FILE).read_text()
    write(tmp_path, after)
    with pytest.raises(ConfigurationError, match="new major"):
        release(tmp_path)
    assert (tmp_path / LOCK_FILE).read_text() == lock


def test_correctable_never_changes(tmp_path: Path) -> None:
    assert incompatibilities(event_avro([]), event_avro([], correctable=False))


def test_compatibility_is_with_every_release_and_not_only_the_last() -> None:
    history: tuple[Fields, Fields, Fields] = (
        [],
        [{"name": "n", "type": "int", "default": 1}],
        [{"name": "n", "type": "string", "default": ""}],
    )
    a, b, c = history
    first, second, third = event_avro(a), event_avro(b), event_avro([])
    assert transitive_incompatibilities([first, second, third]) == []
    assert [p[:14] for p in transitive_incompatibilities([second, third, event_avro(c)])] == ["releases 1 and"]


def avro_says(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """What the reference implementation (a test-only dependency) thinks, in both directions."""
    pair = [parse(json.dumps(plain(schema))) for schema in (one, other)]
    check = ReaderWriterCompatibilityChecker()
    return all(
        check.get_compatibility(reader, writer).compatibility is SchemaCompatibilityType.compatible for reader, writer in (pair, pair[::-1])
    )


@pytest.mark.parametrize(("before", "after"), [pytest.param(b, a, id=name) for name, b, a in BREAKING])
def test_the_reference_checker_agrees_on_what_breaks(before: Fields, after: Fields) -> None:
    assert not avro_says(event_avro(before), event_avro(after))


_SIMPLE: list[Any] = [
    "int",
    "long",
    "string",
    "double",
    ["null", "int"],
    {"type": "array", "items": "int"},
    {"type": "array", "items": ["null", "string"]},
]
_ENUMS = [{"type": "enum", "name": "E", "symbols": s} | d for s in (["A"], ["A", "B"]) for d in ({}, {"default": "A"})]
_DEFAULTS: dict[str, Any] = {"int": 1, "long": 1, "string": "s", "double": 1.0}


@st.composite
def shapes(draw: st.DrawFn, depth: int = 1, path: str = "") -> Fields:
    fields = []
    for name in draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3)):
        avro = draw(st.sampled_from(_SIMPLE + [e | {"name": f"E{path}{name}"} for e in _ENUMS]))
        default = None if isinstance(avro, list) else [] if isinstance(avro, dict) and avro["type"] == "array" else "A"
        field = {"name": name, "type": avro, "default": _DEFAULTS.get(avro, default) if isinstance(avro, str) else default}
        if draw(st.booleans()):
            del field["default"]
        if depth and draw(st.integers(0, 3)) == 0:
            inner = draw(shapes(depth - 1, path + name)) or [{"name": "z", "type": "int"}]
            field = {"name": name, "type": {"type": "array", "items": {"type": "record", "name": f"R{path}{name}", "fields": inner}}}
        fields.append(field)
    return fields


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(shapes(), shapes())
def test_what_we_call_compatible_the_reference_calls_compatible_and_can_read(before: Fields, after: Fields) -> None:
    one, other = event_avro(before), event_avro(after)
    ours = not incompatibilities(one, other)
    if ours:
        assert avro_says(one, other)
    elif avro_says(one, other):
        pytest.fail(f"needlessly refused: {incompatibilities(one, other)}")


def test_resolving_is_what_avro_resolves_to(tmp_path: Path) -> None:
    old, new = released(tmp_path, OLD, NEW)
    value, _ = old.encode(envelope({"n": 1, "kind": "TWO", "gone": 9}))
    writer, reader = old.catalogue[TYPE], new.catalogue[TYPE]
    expected = fastavro.schemaless_reader(io.BytesIO(value[5:]), writer.plain_parsed, reader.plain_parsed)
    frame = new.decode_batch(TYPE, [value], [0]).drop("_offset")
    again = pl.DataFrame([expected], schema={n: f.node.physical for n, f in reader.fields.items()}).cast(reader.polars_schema)  # type: ignore[arg-type]
    assert_frame_equal(frame, again)
