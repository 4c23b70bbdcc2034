"""Schemas and data that hypothesis makes: the types of the hot path, nested, with the values at their edges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from bus.events.catalogue import Catalogue, build, read_schemas
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op
from bus.events.nik import contains_nik, is_nik_number

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "schemas"
TYPE = "test.thing.happened.v1"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def envelope_fields() -> list[dict[str, Any]]:
    files, problems = read_schemas(SCHEMAS)
    assert not problems
    air = next(file for file in files if file.name == "dlh.air_quality.recorded.v1")
    return cast("list[dict[str, Any]]", air.avro["fields"])[:7]


def event_avro(fields: list[dict[str, Any]], **properties: Any) -> dict[str, Any]:
    return {
        "type": "record", "name": "v1", "namespace": TYPE.removesuffix(".v1"), "doc": "A thing.", **properties,
        "fields": envelope_fields() + fields,
    }  # fmt: skip


def codec_of(fields: list[dict[str, Any]], **properties: Any) -> Codec:
    return Codec(Catalogue([build(TYPE, event_avro(fields, **properties), 7)]))


def envelope(data: dict[str, Any], *, number: int = 1, **changes: Any) -> Envelope:
    event = Event(TYPE, changes.pop("subject", f"thing/{number}"), changes.pop("occurred_at", datetime(2024, 5, 1, tzinfo=UTC)), data)
    fields: dict[str, Any] = {
        "source": "test/source",
        "sequence": number,
        "version": number,
        "op": Op.CREATE,
        "batch": "test/source/1",
    } | changes
    return Envelope(event, **fields)


@dataclass(frozen=True)
class Kind:
    """An Avro type and the values that it takes."""

    avro: Any
    values: st.SearchStrategy[Any]


def _integers(bits: int) -> st.SearchStrategy[int]:
    edges = [0, -1, *(sign * (1 << n) + d for n in range(6, bits - 1, 7) for sign in (1, -1) for d in (-1, 0, 1)), (1 << (bits - 1)) - 1]
    edges += [-(1 << (bits - 1))]
    return (st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) | st.sampled_from(edges)).filter(lambda n: not is_nik_number(n))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["x" * 63, "x" * 64, "é" * 32, "z" * 9000, "\0", "😀"])


def _leaf(tag: int) -> st.SearchStrategy[Kind]:
    decimals = st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: Decimal((n < 0, tuple(map(int, str(abs(n)))), -2)))
    return st.sampled_from(
        [
            Kind("boolean", st.booleans()),
            Kind("int", _integers(32)),
            Kind("long", _integers(64)),
            Kind({"type": "long", "scale": 2}, decimals),
            Kind("double", st.floats(allow_nan=False, allow_infinity=False).filter(lambda n: not is_nik_number(n))),
            Kind("string", _TEXT.filter(lambda text: not contains_nik(text))),
            Kind({"type": "enum", "name": f"E{tag}", "symbols": ["A", "B", "C"], "default": "A"}, st.sampled_from("ABC")),
            Kind({"type": "int", "logicalType": "date"}, st.dates(date(1, 1, 1), date(9999, 12, 31))),
            Kind(
                {"type": "long", "logicalType": "timestamp-micros"},
                st.integers(-62135596800 * 10**6, 253402300799 * 10**6).map(lambda us: EPOCH + timedelta(microseconds=us)),
            ),
        ]
    )


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2, path: str = "") -> Kind:
    tag = abs(hash(path)) % 10**9
    shape = draw(st.sampled_from(["leaf"] * 4 + ["array", "record"])) if depth else "leaf"
    if shape == "leaf":
        kind = draw(_leaf(tag))
    elif shape == "array":
        inner = draw(kinds(depth - 1, path + "a"))
        kind = Kind({"type": "array", "items": inner.avro}, st.lists(inner.values, max_size=3))
    else:
        inner_kinds = {f"x{i}": draw(kinds(depth - 1, f"{path}r{i}")) for i in range(draw(st.integers(1, 3)))}
        fields = [{"name": name, "type": inner.avro} for name, inner in inner_kinds.items()]
        avro = {"type": "record", "name": f"R{tag}", "fields": fields}
        kind = Kind(avro, st.fixed_dictionaries({name: inner.values for name, inner in inner_kinds.items()}))
    if draw(st.booleans()):
        return Kind(draw(st.sampled_from([["null", kind.avro], [kind.avro, "null"]])), st.none() | kind.values)
    return kind


@dataclass(frozen=True)
class Case:
    """A payload and some rows of it."""

    fields: list[dict[str, Any]]
    rows: list[dict[str, Any]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    payload = {f"f{i}": draw(kinds(path=f"f{i}")) for i in range(draw(st.integers(1, 4)))}
    rows = draw(st.lists(st.fixed_dictionaries({name: kind.values for name, kind in payload.items()}), min_size=1, max_size=6))
    return Case([{"name": name, "type": kind.avro} for name, kind in payload.items()], rows)
