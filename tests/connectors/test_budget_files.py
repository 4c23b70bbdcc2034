"""Budgets as agencies really uploaded them, through BPKAD's own mapping: the headings are those that others read."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

from bus.errors import RecordError
from bus.ingest.files import Seen, examine
from bus.ingest.formats.opening import open_records
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import discover
from bus.ingest.source import FileRefused, RawRecord
from bus.settings import ROOT
from connectors.bpkad.accounts_file import _HEADINGS, to_events

_NAMED = {f"3404_{number}.csv" for number in (1477245873, 1477246259, 1477247883, 1477248152, 1477249412)}
#: (file, heading, account, amount).
Line = tuple[str, str, str, Decimal]


def read(path: Path, spec: FilesSpec, refused: Counter[str]) -> list[Line]:
    """The headings of a file that have an amount; what was refused is counted by rule and field."""
    info = path.stat()
    facts = examine(Seen(path, info.st_size, info.st_mtime_ns))
    lines: list[Line] = []
    with path.open("rb") as stream:
        try:
            records = list(open_records(stream, spec, name=path.name, encoding=facts.encoding))
        except FileRefused as error:
            refused[f"file {error.rule}"] += 1
            return []
        for record in records:
            try:
                events = list(to_events(record.values)) if isinstance(record, RawRecord) else []
            except RecordError as error:
                refused[f"{error.rule} {error.field}"] += 1
            else:
                told = ((event.data["heading"], event.data["account"], event.data["amount"]) for event in events)
                lines += [
                    (path.name, str(heading), str(account), Decimal(str(amount)))
                    for heading, account, amount in told
                    if heading and amount is not None
                ]
    return lines


def test_the_headings_of_real_budgets_are_those_that_others_read(bus_test_data: Path) -> None:
    spec = discover([ROOT / "connectors"])["bpkad"].manifest.sources["apbd"]
    assert isinstance(spec, FilesSpec)
    with (bus_test_data / "reference" / "apbd_totals.csv").open(encoding="utf-8", newline="") as file:
        answers = [row for row in csv.DictReader(file) if row["status"] == "ok" and row["kode_rekening"]]
    wanted = Counter((row["file"], _HEADINGS[row["uraian"]], row["kode_rekening"], Decimal(row["amount"])) for row in answers)
    found: Counter[Line] = Counter()
    refused: Counter[str] = Counter()
    for path in sorted((bus_test_data / "apbd" / "csv").glob("*.csv")):
        found.update(read(path, spec, refused))
    assert not found - wanted
    missing = wanted - found
    # five files have the organisation's name where its code should stand; one line ends in what a spreadsheet made of an error
    assert {line[:2] for line in missing if line[0] not in _NAMED} == {("3471_1474868829.csv", "BELANJA")}
    assert sum(found.values()) > 590
    assert refused.keys() == {
        "file no_header", "file missing_column", "invalid_value kode", "invalid_value kode_organisasi", "invalid_value nilai",
    }  # fmt: skip
