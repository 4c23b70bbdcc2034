"""A file as a made-up agency writes it is read back, record by record, as its real files are."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from fnmatch import fnmatchcase

import pytest

from bus.ingest.formats.opening import open_records
from bus.ingest.kinds import FilesSpec
from bus.ingest.source import RawRecord
from bus.simulation.faults import Rates
from bus.simulation.systems.form import FileForm
from bus.simulation.world import Plan, file_form, made
from tests.simulation.test_agencies import AGENCIES, REFERENCES

SOURCES = [
    (name, source, spec)
    for name, agency in AGENCIES.items()
    for source, spec in agency.manifest.sources.items()
    if isinstance(spec, FilesSpec)
]


@pytest.mark.parametrize(("agency", "source", "spec"), SOURCES, ids=[f"{agency}/{source}" for agency, source, _ in SOURCES])
def test_what_is_written_is_read(agency: str, source: str, spec: FilesSpec) -> None:
    form = file_form(AGENCIES[agency], source)
    world = made({agency: AGENCIES[agency]}, REFERENCES, Plan(date(2026, 1, 5), days=10, scale=0.002, rates=Rates.none()))
    tellings = [told.telling for told in world.told if told.telling.source == source and not told.telling.gone]
    files: dict[str, list[dict[str, object]]] = {}
    for each in tellings:
        files.setdefault(form.name_of(each.at, each.record), []).append(dict(each.record))
    for name, records in files.items():
        assert any(fnmatchcase(name.lower(), pattern.lower()) for pattern in spec.patterns), name
        read = list(open_records(io.BytesIO(form.content(records)), spec, name=name, encoding=form.encoding))
        assert [dict(record.values) for record in read if isinstance(record, RawRecord)] == records, name
    assert files


def test_a_workbook_tells_nothing_of_when_it_was_made() -> None:
    form = FileForm("a.xlsx", {"value": "Nilai"})
    with zipfile.ZipFile(io.BytesIO(form.content([{"value": 1}]))) as parts:
        assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert parts.read("docProps/core.xml").count(b"1980-01-01T00:00:00Z") == 2  # created, modified
        assert str(date.today().year).encode() not in parts.read("docProps/core.xml")
