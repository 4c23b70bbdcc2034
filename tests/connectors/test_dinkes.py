"""Health: ages as e-PPGBM writes them, the measurement of a month, and real workbooks of COVID-19 with the answers that others computed."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import RecordError
from bus.testing.scanner import Scanner
from connectors.dinkes.weighing import age_group, age_in_months, height_for_age, written_age
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World
from tests.sources.files_world import reference, take

HEADER = "No;NIK;Nama;JK;Tgl Lahir;Nama Ortu;Kec;Pukesmas;Desa/Kel;Posyandu;RT;RW;Usia Saat Ukur;Tanggal Pengukuran;Berat;Tinggi;TB/U;ZS TB/U;BB/TB"
CHILDREN = [f"000901410123000{number}" for number in range(1, 5)]


def line(nik: str, day: int, z: str, *, month: int = 1, word: str = "Normal") -> str:
    return f"1;{nik};ANAK RAHASIA;P;2023-10-08;ORTU RAHASIA;Selo;Selo;Tlogolele;Mawar;1;2;2 Tahun - 3 Bulan;2026-{month:02}-{day:02};10,4;82,5;{word};{z};-"


def health(base: Path) -> World:
    return agency_world(base, "dinkes", BUS_DINKES__WEBHOOK_KEY="kunci-rahasia-laboratorium-1")


@pytest.mark.parametrize(
    ("text", "months"),
    [("2 Tahun - 3 Bulan - 12 Hari", 27), ("2 Tahun - 3 Bulan", 27), ("0 Tahun - 0 Bulan - 5 Hari", 0), ("11 bulan", 11), ("1 TAHUN", 12)],
)
def test_an_age_is_read_as_it_is_written(text: str, months: int) -> None:
    assert written_age(text) == months


@given(st.integers(0, 4), st.integers(0, 11), st.integers(0, 30), st.sampled_from([" - ", ", ", " "]))
def test_every_age_of_that_form_is_read(years: int, months: int, days: int, between: str) -> None:
    assert written_age(between.join((f"{years} Tahun", f"{months} Bulan", f"{days} Hari"))) == years * 12 + months


@pytest.mark.parametrize("text", ["", "-", "27", "dua tahun", "2 Tahun 3", "3 Bulan - 2 Tahun", "2,5 Tahun", "123 Bulan"])
def test_what_is_no_age_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(RecordError) as refused:
        written_age(text)
    assert (refused.value.rule, refused.value.received) == ("invalid_value", "")


def test_months_are_completed_and_categories_are_those_of_who() -> None:
    assert [age_in_months(date(2024, 1, 31), on) for on in (date(2024, 2, 29), date(2024, 3, 30), date(2024, 3, 31))] == [0, 1, 2]
    assert [age_group(months) for months in (0, 5, 6, 23, 24, 59)] == ["0-5", "0-5", "6-11", "12-23", "24-35", "48-59"]
    with pytest.raises(RecordError):
        age_group(60)
    with pytest.raises(RecordError):
        age_group(-1)
    scores = ("-3.01", "-3", "-2.01", "-2", "3", "3.01")
    assert [height_for_age(Decimal(z)) for z in scores] == ["SANGAT PENDEK", "PENDEK", "PENDEK", "NORMAL", "NORMAL", "TINGGI"]
    with pytest.raises(RecordError):
        height_for_age(Decimal("-6.01"))


async def test_of_a_childs_measurements_in_a_month_the_last_counts(tmp_path: Path) -> None:
    world = health(tmp_path)
    first = [line(CHILDREN[0], 5, "-2,15", word="Pendek"), line(CHILDREN[1], 5, "-3,4", word="Sangat Pendek"), line(CHILDREN[2], 5, "0,10")]
    first += [line(CHILDREN[0], 19, "-1,98"), line(CHILDREN[3], 5, "-", word="-"), line(CHILDREN[2], 7, "-2,5", month=2, word="Pendek")]
    world.put("ppgbm-selo.csv", *first, header=HEADER)
    await world.run()
    assert not await world.quarantine()
    desa = [row for row in numbers("dinkes.stunting_month", world) if row["region"] == "33.09.01.2001"]
    assert brief(desa, "window_start", "numerator", "denominator", "value") == [
        ("2026-01-01T00:00:00+07:00", "100", "3", "33.3333333333"),
        ("2026-02-01T00:00:00+07:00", "100", "1", "100.0000000000"),
    ]
    before = len(world.envelopes())
    world.put("ppgbm-selo-ulang.csv", *first, header=HEADER)
    await world.run()
    assert len(world.envelopes()) == before
    look = Scanner([*CHILDREN, "ANAK RAHASIA", "ORTU RAHASIA", "2023-10-08"], codec=world.codec)
    parts = [(topic, number) for topic, count in world.log.topics.items() for number in range(count)]
    assert not [hit for topic, number in parts for hit in look.records(topic, world.log.records(topic, number))]


async def test_real_workbooks_of_covid_give_the_answers_of_others(tmp_path: Path, bus_test_data: Path) -> None:
    world = health(tmp_path)
    take(world, sorted((bus_test_data / "covid_kelurahan").glob("*.xlsx")))
    await world.run()
    assert not await world.quarantine(state=None)
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    codes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (_, subject), data in world.current().items():
        place = subject.partition("/")[0], str(data["district"])
        codes[place].add(str(data["kode_wilayah"] or "")[:8])
        for at, number in enumerate((1, *(int(str(data[name])) for name in ("positive", "recovered", "dead")))):
            sums[place][at] += number
    answers = {
        (row["date"], row["kecamatan"]): [int(row[name]) for name in ("kelurahan_rows", "positif", "sembuh", "meninggal")]
        for row in reference(bus_test_data, "covid_kecamatan.csv")
    }
    assert len(answers) == len(reference(bus_test_data, "covid_kecamatan.csv"))
    assert sums == answers
    # a name is one code, so what the indicators group by code is what the answers group by name
    assert all(len(found) == 1 for found in codes.values())
    for at, name in enumerate(("positive", "recovered", "dead"), 1):
        wanted: dict[tuple[str, str], int] = defaultdict(int)
        for (day, district), answer in answers.items():
            (code,) = codes[day, district]
            wanted[day, code] += answer[at]
        rows = numbers(f"dinkes.covid_{name}_day", world)
        assert {(row["window_start"][:10], row["kode_kecamatan"]): int(row["value"]) for row in rows} == wanted
    for row in reference(bus_test_data, "covid_total_check.csv"):
        assert sum(answer[1] for (day, _), answer in answers.items() if day == row["date"]) == int(row["positif_TOTAL_row"])
