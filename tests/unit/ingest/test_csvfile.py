"""Reading CSV: columns, physical line numbers, and what is refused."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.ingest.csvfile import LONGEST_RECORD, CsvFile, parse_record
from bus.ingest.kinds import FilesSpec
from bus.ingest.source import BadRecord, FileRefused, RawRecord

SPEC = FilesSpec(kind="append", header={"a": ("a", "huruf a"), "b": ("b",), "c": ("c",)}, optional=("c",))


def read(text: str, *, spec: FilesSpec = SPEC) -> list[RawRecord | BadRecord]:
    return list(CsvFile(io.BytesIO(text.encode()), spec, "utf-8-sig"))


def short(items: list[RawRecord | BadRecord]) -> list[tuple[int, object]]:
    return [(item.line, item.reason.rule if isinstance(item, BadRecord) else tuple(item.values[k] for k in "abc")) for item in items]


def test_columns_by_name_whatever_their_order_spelling_and_delimiter() -> None:
    for text in ("a,b\n1,2\n", "B;Huruf  A\n2;1\n", "b\tA\r\n2\t1\r\n", "b|c|a\n2||1"):
        assert short(read(text)) == [(2, ("1", "2", ""))]


def test_a_declared_delimiter_is_not_guessed() -> None:
    spec = SPEC.model_copy(update={"delimiter": ";"})
    with pytest.raises(FileRefused, match="no_header"):
        read("a,b\n1,2\n", spec=spec)


def test_line_numbers_are_physical() -> None:
    text = '\na,b\n\n"x\ny","p\r\nq"\n,\n1,2\n"z",3'
    assert short(read(text)) == [(4, ("x\ny", "p\r\nq", "")), (8, ("1", "2", "")), (9, ("z", "3", ""))]


def test_a_quote_that_is_never_closed_takes_only_its_line() -> None:
    assert short(read('a,b\n1,2\n"3,4\n5,6\n')) == [(2, ("1", "2", "")), (3, "open_quote"), (4, ("5", "6", ""))]
    assert short(read('a,b\n1,"2"x\n3,4\n')) == [(2, "bad_quoting"), (3, ("3", "4", ""))]


def test_an_endless_line_is_refused_without_being_held() -> None:
    text = "a,b\n" + "x" * (3 * LONGEST_RECORD) + "\n1,2\n"
    items = read(text)
    assert short(items) == [(2, "record_too_long"), (3, ("1", "2", ""))]
    assert isinstance(items[0], BadRecord)
    assert len(items[0].raw) == LONGEST_RECORD


def test_a_truncated_end() -> None:
    assert short(read("a,b\n1,2\n3")) == [(2, ("1", "2", "")), (3, "truncated")]
    assert short(read('a,b\n1,2\n3,"4')) == [(2, ("1", "2", "")), (3, "truncated")]
    assert short(read("a,b\n1,2")) == [(2, ("1", "2", ""))]
    cut = "a,b\n1,é".encode()[:-1]
    assert short(list(CsvFile(io.BytesIO(cut), SPEC, "utf-8-sig"))) == [(2, "truncated")]


def test_wrong_numbers_of_fields() -> None:
    assert short(read("a,b\n1\n1,2,3\n1,2\n")) == [(2, "field_count"), (3, "field_count"), (4, ("1", "2", ""))]


@pytest.mark.parametrize(
    ("header", "rule", "field"),
    [
        ("a,b,d", "unknown_column", "d"),
        ("a,A,b", "duplicate_column", "A"),
        ("a,huruf a,b", "duplicate_column", "huruf a"),
        ("a,c", "missing_column", "b"),
        ("1,2,a", "no_header", ""),
    ],
)
def test_headers_that_cannot_be_mapped(header: str, rule: str, field: str) -> None:
    with pytest.raises(FileRefused) as caught:
        read(header + "\n1,2,3\n")
    assert (caught.value.rule, caught.value.field, caught.value.line) == (rule, field, 1)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff\ufffd"), max_size=8)


@given(
    st.lists(st.tuples(cells, cells).filter(lambda row: any(cell.strip(", \t\r\n\f\v") for cell in row)), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_standard_writer_writes_is_read_back(rows: list[tuple[str, str]], delimiter: str, newline: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline)
    writer.writerow(("a", "b"))
    writer.writerows(rows)
    items = read(out.getvalue())
    assert [(item.values["a"], item.values["b"]) for item in items if isinstance(item, RawRecord)] == rows
    assert len(items) == len(rows)
    for item in items:
        assert isinstance(item, RawRecord)
        assert parse_record(item.raw, ["a", "b"], delimiter, SPEC, line=item.line) == item
