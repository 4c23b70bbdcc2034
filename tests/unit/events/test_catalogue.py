"""The catalogue reads all folders, reports everything that is wrong at once, and keeps ids where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.lock import COMPUTED_IDS, LOCK_FILE
from bus.events.release import release
from tests.unit.events.generated import SCHEMAS, TYPE, event_avro


def write(root: Path, avro: Any, path: str = "events/test/thing.happened.v1.avsc") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(avro if isinstance(avro, str) else json.dumps(avro))
    return file


def problems(*roots: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        Catalogue.load(list(roots))
    return str(raised.value)


def test_the_repositorys_own_schemas_load_under_their_pinned_ids() -> None:
    catalogue = Catalogue.load([SCHEMAS])
    air = catalogue["dlh.air_quality.recorded.v1"]
    assert air.schema_id < COMPUTED_IDS
    assert air.hot
    assert air.correctable
    assert list(air.fields)[:7] == ["source", "sequence", "version", "subject", "occurred_at", "op", "batch"]
    assert list(air.payload_fields) == [
        "station",
        "station_name",
        "pm10",
        "pm25",
        "so2",
        "co",
        "o3",
        "no2",
        "max_index",
        "category",
        "critical",
    ]
    assert air.polars_schema["occurred_at"] == pl.Datetime("us", "UTC")
    assert air.polars_schema["pm10"] == pl.Int32()
    assert "bus.indicator_value.v1" in catalogue.internal
    assert "bus.indicator_value.v1" not in catalogue
    with pytest.raises(KeyError, match=r"dlh\.air_quality"):
        catalogue["dlh.nothing.known.v1"]


def test_all_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, "{", "events/test/one.happened.v1.avsc")
    write(tmp_path, event_avro([]), "events/test/two.happened.v1.avsc")
    write(tmp_path, event_avro([{"name": "n", "type": ["int", "string"]}]))
    write(tmp_path, event_avro([]), "events/test/Bad.avsc")
    text = problems(tmp_path)
    for part in ("one.happened", "full name is 'test.thing.happened.v1'", "the only allowed union is [null, T]", "Bad.avsc"):
        assert part in text


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": "n", "type": {"type": "map", "values": "int"}}, "type 'map'"),
        ({"name": "n", "type": "null"}, "type 'null'"),
        ({"name": "n", "type": {"type": "long", "logicalType": "timestamp-millis"}}, "timestamp-micros"),
        ({"name": "n", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}, "long with a scale"),
        ({"name": "n", "type": {"type": "long", "scale": 19}}, "0 to 18"),
        ({"name": "n", "type": {"type": "record", "name": "R", "fields": []}}, "no fields"),
        ({"name": "n", "type": "int", "default": "a"}, "Default value"),
        ({"name": "n", "type": ["null", "int"], "default": 1}, "first branch"),
        ({"name": "n", "type": "int", "default": 1 << 31}, "default"),
        ({"name": "source", "type": "int"}, "twice"),
        ({"name": "n", "type": {"type": "enum", "name": "E", "symbols": ["A", "A"]}}, "Avro"),
        ({"name": "n m", "type": "int"}, "Avro"),
    ],
)
def test_what_an_event_may_not_carry_is_refused_at_load(tmp_path: Path, field: dict[str, Any], message: str) -> None:
    write(tmp_path, event_avro([field]))
    assert message in problems(tmp_path)


def test_the_envelope_must_come_first_and_whole(tmp_path: Path) -> None:
    avro = event_avro([])
    avro["fields"] = avro["fields"][1:]
    write(tmp_path, avro)
    assert "in this order: source, sequence" in problems(tmp_path)
    avro = json.loads(json.dumps(event_avro([])))
    avro["fields"][1]["type"] = "int"
    avro["fields"][5]["type"]["symbols"] = ["CREATE"]
    write(tmp_path, avro)
    text = problems(tmp_path)
    assert 'sequence must be "long"' in text
    assert "op must be" in text


def test_a_changed_released_schema_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, event_avro([{"name": "n", "type": "int"}]))
    release(tmp_path)
    write(tmp_path, event_avro([{"name": "n", "type": "int", "doc": "Better words are no change."}]))
    Catalogue.load([tmp_path])
    write(tmp_path, event_avro([{"name": "n", "type": "long"}]))
    text = problems(tmp_path)
    assert "immutable" in text
    assert "new major" in text


def test_a_schema_without_an_id_is_an_error_where_there_is_a_lock(tmp_path: Path) -> None:
    write(tmp_path, event_avro([]))
    release(tmp_path)
    write(tmp_path, event_avro([]) | {"namespace": "test.other.happened"}, "events/test/other.happened.v1.avsc")
    assert "bus schemas lock" in problems(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": {"type": "record"}}, "immutable"),
        ({"id": 0}, "2^31"),
        ({"version": 2}, "without a gap"),
        ({"id": "x"}, "not a lock file"),
    ],
)
def test_a_damaged_lock_is_an_error(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write(tmp_path, event_avro([]))
    release(tmp_path)
    lock = json.loads((tmp_path / LOCK_FILE).read_text())
    lock["schemas"][0] |= change
    (tmp_path / LOCK_FILE).write_text(json.dumps(lock))
    assert message in problems(tmp_path)


def test_an_id_is_never_used_twice(tmp_path: Path) -> None:
    write(tmp_path, event_avro([]))
    release(tmp_path)
    lock = json.loads((tmp_path / LOCK_FILE).read_text())
    lock["schemas"].append(lock["schemas"][0] | {"version": 2})
    (tmp_path / LOCK_FILE).write_text(json.dumps(lock))
    assert "never reused" in problems(tmp_path)


def test_overlays_get_high_ids_pinned_or_not_and_collisions_are_errors(tmp_path: Path) -> None:
    write(tmp_path, event_avro([]))
    unpinned = Catalogue.load([SCHEMAS, tmp_path])[TYPE].schema_id
    assert unpinned >= COMPUTED_IDS
    release(tmp_path, overlay=True)
    assert Catalogue.load([SCHEMAS, tmp_path])[TYPE].schema_id == unpinned
    lock = (tmp_path / LOCK_FILE).read_text().replace(str(unpinned), str(Catalogue.load([SCHEMAS]).schemas[0].schema_id))
    (tmp_path / LOCK_FILE).write_text(lock)
    assert "is already that of" in problems(SCHEMAS, tmp_path)


def test_a_type_is_defined_once(tmp_path: Path) -> None:
    for root in (tmp_path / "a", tmp_path / "b"):
        write(root, event_avro([]))
    assert "already defined" in problems(tmp_path / "a", tmp_path / "b")


def test_the_fingerprint_sees_what_avros_canonical_form_leaves_out(tmp_path: Path) -> None:
    variants: list[dict[str, Any]] = [
        event_avro([{"name": "n", "type": "long"}]),
        event_avro([{"name": "n", "type": "long", "scale": 2}]),
        event_avro([{"name": "n", "type": "long", "pii": "quasi"}]),
        event_avro([{"name": "n", "type": "long", "default": 0}]),
        event_avro([{"name": "n", "type": "long"}], correctable=False),
        event_avro([{"name": "n", "type": {"type": "long", "logicalType": "timestamp-micros"}}]),
    ]
    prints = set()
    for index, avro in enumerate(variants):
        write(tmp_path / str(index), avro)
        prints.add(Catalogue.load([tmp_path / str(index)])[TYPE].fingerprint)
    assert len(prints) == len(variants)
