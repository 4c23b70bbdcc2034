"""What stands is the highest record of each cell, and a file of it has the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.kafka.ports import Message
from bus.ops.values import cell_name, name_of_cell, read_values, write_csv
from bus.settings import ROOT
from bus.testing.memory import MemoryLog

_START = datetime(2020, 12, 31, 17, tzinfo=UTC)
_END = datetime(2021, 1, 31, 17, tzinfo=UTC)
_TOPIC = "indicators.t.mean"


def _codec() -> Codec:
    return Codec(Catalogue.load([ROOT / "schemas"]))


def _fields(station: str | None, *, revision: int, n: int = 2, status: str = "provisional", version: int = 1) -> dict[str, object]:
    return {
        "indicator": "t.mean", "version": version, "fingerprint": "abc", "window_start": _START, "window_end": _END,
        "dimensions": [{"name": "station", "value": station}], "value": "1.5" if n else None, "numerator": "3", "denominator": "2",
        "n": n, "revision": revision, "status": status, "evidence": [{"topic": "events.t", "partition": 0, "offset": revision}],
        "watermarks": [], "late": 0, "corrected": 0, "withdrawn": 0, "heard": 0, "expected": 0, "label": None, "error": None, "as_of": None,
        "leaves": [], "closing": False,
    }  # fmt: skip


async def _log(*records: Mapping[str, object]) -> MemoryLog:
    log, codec = MemoryLog({_TOPIC: 1}), _codec()
    for fields in records:
        dimensions = fields["dimensions"]
        assert isinstance(dimensions, list)
        value, headers = codec.encode_record("bus.indicator_value.v1", fields)
        await log.send([Message(_TOPIC, 0, json.dumps([0, [each["value"] for each in dimensions]]).encode(), value, headers)])
    return log


async def test_the_newest_state_of_each_cell_stands_wherever_it_lies() -> None:
    log = await _log(
        _fields("DKI2", revision=4, status="final"), _fields("DKI2", revision=3), _fields("DKI2", revision=2),
        _fields("DKI1", revision=9), _fields("DKI1", revision=1, version=2),
    )  # fmt: skip
    values = await read_values(log, _codec(), "t.mean")
    assert [(each.dimensions["station"], each.version, each.revision, each.status) for each in values] == [
        ("DKI1", 2, 1, "provisional"),
        ("DKI2", 1, 4, "final"),
    ]
    assert values[1].evidence == (("events.t", 0, 4),)
    assert cell_name(values[1]) == "2021-01-01/DKI2"
    assert [each.revision for each in await read_values(log, _codec(), "t.mean", version=1)] == [9, 4]


values_of_dimensions = st.one_of(st.none(), st.text(alphabet="(null)\\/a", max_size=8))


@given(st.lists(st.tuples(values_of_dimensions, values_of_dimensions), min_size=2, max_size=6, unique=True))
@example([(None, "a"), ("(null)", "a")])
@example([("a/b", "c"), ("a", "b/c")])
@example([("\\(null)", None), ("(null)", None)])
@example([("a\\", "b"), ("a\\/b", None)])
def test_no_two_cells_have_one_name(cells: list[tuple[str | None, str | None]]) -> None:
    for start in (0, 1_609_434_000_000_000):
        assert len({name_of_cell(start, each) for each in cells}) == len(cells)


def test_names_of_cells_say_what_is_missing() -> None:
    assert name_of_cell(0, ["selo", None]) == "now/selo/(null)"
    assert name_of_cell(1_609_434_000_000_000, ["(null)", "PM10/24 jam", "a\\b"]) == "2021-01-01/\\(null)/PM10\\/24 jam/a\\\\b"


async def test_an_indicator_without_a_topic_has_no_values() -> None:
    assert await read_values(MemoryLog(), _codec(), "t.mean") == []


async def test_a_file_is_sorted_and_leaves_out_what_is_empty(tmp_path: Path) -> None:
    log = await _log(_fields("DKI2", revision=1), _fields(None, revision=1), _fields("DKI3", revision=2, n=0), _fields("DKI1", revision=1))
    values = await read_values(log, _codec(), "t.mean")
    assert write_csv(tmp_path / "t.csv", ["station"], reversed(values)) == 3
    month = "2021-01-01T00:00:00+07:00,2021-02-01T00:00:00+07:00"
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        "window_start,window_end,station,value,numerator,denominator,n,revision,status\n"
        f"{month},,1.5,3,2,2,1,provisional\n{month},DKI1,1.5,3,2,2,1,provisional\n{month},DKI2,1.5,3,2,2,1,provisional\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
