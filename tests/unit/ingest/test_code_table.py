"""An agency's codes mean regions at a moment; one that does not is refused by name, with what would be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.errors import ConfigurationError, RecordError, SourceChanged
from bus.ingest.code_table import CodeTable
from bus.ingest.messages import describe
from bus.ingest.source import Reason

ROWS = """kode_asal,kode,berlaku_dari,berlaku_sampai,catatan
010,33.09.01,,,
020,33.09.02,,2018-07-01,Ampel
020,33.09.20,2018-07-01,,"sejak pemekaran, Gladagsari"
030.001,33.09.03.2001,2020-01-01,2022-01-01,
"""
SPLIT = datetime(2018, 6, 30, 17, tzinfo=UTC)


def load(tmp_path: Path, rows: str = ROWS) -> CodeTable:
    path = tmp_path / "kode_wilayah.csv"
    path.write_text(rows, encoding="utf-8")
    return CodeTable.load(path)


def test_a_code_means_its_region_at_the_moment_of_the_fact(tmp_path: Path) -> None:
    table = load(tmp_path)
    assert table.code("010", datetime(1990, 1, 1, tzinfo=UTC), field="kd_kecamatan") == "33.09.01"
    assert table.code("020", SPLIT - timedelta(microseconds=1), field="kd_kecamatan") == "33.09.02"
    assert table.code("020", SPLIT, field="kd_kecamatan") == "33.09.20"
    assert [row.line for row in table.rows] == [2, 3, 4, 5]


def test_an_unknown_code_is_a_change_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged) as caught:
        load(tmp_path).code("030.01", SPLIT, field="kd_kelurahan")
    error = caught.value
    assert (error.field, error.rule, error.received) == ("kd_kelurahan", "unknown_value", "030.01")
    assert error.allowed == "kode_wilayah.csv: 3 kode/codes (030.001, …)"
    with pytest.raises(SourceChanged) as caught:
        load(tmp_path).code("", SPLIT, field="kd_kelurahan")
    assert caught.value.received == "(kosong/blank)"
    assert caught.value.allowed == "kode_wilayah.csv: 010, 020, 030.001"


@pytest.mark.parametrize("when", [datetime(2019, 12, 31, 16, 59, tzinfo=UTC), datetime(2021, 12, 31, 17, tzinfo=UTC)])
def test_a_code_that_was_not_in_force_says_when_it_was(tmp_path: Path, when: datetime) -> None:
    with pytest.raises(RecordError) as caught:
        load(tmp_path).code("030.001", when, field="kd_kelurahan")
    error = caught.value
    assert not isinstance(error, SourceChanged)
    assert (error.field, error.rule, error.received) == ("kd_kelurahan", "code_not_in_force", "030.001")
    assert error.allowed == "kode_wilayah.csv: 2020-01-01 <= tanggal/date < 2022-01-01"
    said = describe(Reason(error.rule, error.field, received=error.received, allowed=error.allowed), file="a.csv", line=2)
    assert "kode tidak berlaku pada tanggal kejadian" in said[0]
    assert "not in force" in said[1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("33.09.01,", "330901,", "kode_wilayah.csv:2: kode: received '330901'; allowed: text that matches"),
        ("020,33.09.20,2018-07-01", "020,33.09.20,2018-06-01", "kode_wilayah.csv:4: berlaku_dari: received a period of 020 that overlaps"),
        ("020,33.09.20,2018-07-01", "020,33.09.20,2019-07-01", "leaves a gap after that of line 3"),
        ("catatan", "keterangan", "kode_wilayah.csv:1: unknown columns 'keterangan'"),
        ("010,", ",", "kode_wilayah.csv:2: kode_asal: received a blank cell"),
    ],
)
def test_a_wrong_table_stops_the_connector(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in ROWS
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, ROWS.replace(old, new, 1))
    assert said in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"kode_desa\.csv: cannot be read"):
        CodeTable.load(tmp_path / "kode_desa.csv")
