"""Codes of regions at the moment of a fact: in force, moved, cut in two, joined, abolished, not yet; and the tree that they stand in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.indicators.reference_files import load_references
from bus.indicators.regions import Regions, Unresolved, ancestors
from bus.settings import ROOT
from tests.unit.indicators.tables import FORM, REGIONS, table

TREE = Regions.from_table(table())
REAL = Regions.from_table(load_references([ROOT / "schemas"])["wilayah"])


def at(day: str, *, before: bool = False) -> int:
    """Local midnight of that day, or the last microsecond before it, in UTC microseconds."""
    moment = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Asia/Jakarta"))
    return int(moment.timestamp()) * 1_000_000 - before


def rule(code: str | None, moment: int, tree: Regions = TREE) -> str:
    found = tree.resolve(code, moment)
    return found.rule if isinstance(found, Unresolved) else found


@pytest.mark.parametrize(
    ("code", "day", "meant"),
    [
        ("99.01", "1950-01-01", "99.01"),
        ("99.01.01", "2018-06-30", "99.01.01"),  # as it was then
        ("99.01.01", "2018-07-01", "retired_region"),  # cut in two
        ("99.01.02", "2018-07-01", "99.01.02"),
        ("99.01.02", "2018-06-30", "unknown_region"),  # not yet
        ("99.01.04", "2018-06-30", "99.01.04"),  # kept its code through the split
        ("99.01.04", "2018-07-01", "99.01.04"),
        ("99.01.06", "2030-01-01", "99.01.06"),  # renamed
        ("99.01.01.2001", "2018-06-30", "99.01.01.2001"),
        ("99.01.01.2001", "2018-07-01", "99.01.02.2001"),  # moved to another kecamatan
        ("99.01.01.2003", "2024-01-01", "99.01.03.2001"),
        ("99.01.01.2004", "2024-01-01", "retired_region"),  # itself divided
        ("99.01.01.2002", "2019-12-31", "99.01.02.2002"),  # moved, then
        ("99.01.01.2002", "2020-01-01", "99.01.02.1001"),  # made a kelurahan: two steps
        ("99.01.04.2001", "2021-01-01", "99.01.04.2003"),
        ("99.01.04.2004", "2021-01-01", "99.01.04.2005"),
        ("99.01.04.2006", "2022-02-01", "99.01.04.2006"),
        ("99.01.04.2006", "2022-02-02", "retired_region"),  # abolished
        ("99.01.01.2001.001", "2018-06-30", "99.01.01.2001.001"),
        ("99.01.01.2001.001", "2018-07-01", "99.01.02.2001.001"),  # the RW moved with its desa
        ("99.01.01.2002.004.011", "2021-01-01", "99.01.02.1001.004.011"),
        ("99.01.01.2004.001", "2024-01-01", "retired_region"),
        ("99.01.04.2001.001", "2021-01-01", "retired_region"),  # 2002 had an RW 001 too
        ("99.01.04.2004.001.002", "2021-01-01", "retired_region"),  # so had 2005, which stayed
        ("99.01.04.2005.001.002", "2021-01-01", "99.01.04.2005.001.002"),
        ("99.01.04.2009.001", "2021-01-01", "unknown_region"),
        ("99.01.04.001", "2021-01-01", "unknown_region"),  # an RW of a kecamatan
        ("99.01.04.2005.1.2", "2021-01-01", "unknown_region"),
        ("99.01.04.2005.001.002.003", "2021-01-01", "unknown_region"),
        ("99", "2021-01-01", "unknown_region"),
        ("98.01", "2021-01-01", "unknown_region"),
        ("99.01.04.", "2021-01-01", "unknown_region"),
        ("99.01.04\n", "2021-01-01", "unknown_region"),
        (" 99.01.04", "2021-01-01", "unknown_region"),
        ("99.01.٠4", "2021-01-01", "unknown_region"),
        ("9901042005", "2021-01-01", "unknown_region"),
        ("", "2021-01-01", "unknown_region"),
        (None, "2021-01-01", "unknown_region"),
    ],
)
def test_a_code_means_a_region_at_a_moment(code: str | None, day: str, meant: str) -> None:
    assert rule(code, at(day)) == meant


def test_a_change_takes_effect_at_local_midnight_to_the_microsecond() -> None:
    assert rule("99.01.01.2001", at("2018-07-01", before=True)) == "99.01.01.2001"
    assert at("2018-07-01") == int(datetime(2018, 6, 30, 17, tzinfo=UTC).timestamp()) * 1_000_000
    assert rule("99.01.01.2001", at("2018-07-01")) == "99.01.02.2001"


def test_a_refusal_says_why_but_not_what_was_received() -> None:
    cases = {
        "99.01.04.2001.001": "ended on 2021-01-01 by joining 99.01.04.2003",
        "99.01.01.2004.007": "ended on 2018-07-01 and has 2 successors: 99.01.02.2003, 99.01.03.2002",
        "99.01.04.2006": "ended on 2022-02-02 and has no successor (the table wilayah, version 1)",
        "99.01.09": "is not in the table wilayah, version 1; allowed: PP.KK[.CC[.DDDD[.RW3[.RT3]]]]",
        "3309014101900001": "has 16 characters in another form",
    }
    for code, said in cases.items():
        found = TREE.resolve(code, at("2024-01-01"))
        assert isinstance(found, Unresolved)
        assert said in found.message
        assert code not in found.message
    early = TREE.resolve("99.01.02", at("2018-01-01"))
    assert isinstance(early, Unresolved)
    assert "in force only from 2018-07-01 on" in early.message


DAYS = ["1900-01-01", "2018-06-30", "2018-07-01", "2019-12-31", "2020-01-01", "2020-12-31", "2021-01-01", "2022-02-02", "2100-01-01"]
CODES = st.sampled_from(TREE.codes()) | st.sampled_from(["99", "", "x", "99.01.77", "99.01.01.2001.1"]) | st.none()
BELOW = st.tuples(
    st.sampled_from([code for code in TREE.codes() if code.count(".") == 3]), st.sampled_from([".001", ".001.002", ".999.000"])
)
ANY_CODE = CODES | BELOW.map("".join)
MOMENTS = st.builds(lambda day, before: at(day, before=before), st.sampled_from(DAYS), st.booleans())


@given(st.lists(st.tuples(ANY_CODE, MOMENTS), max_size=40))
def test_a_column_is_resolved_as_each_of_its_rows(rows: list[tuple[str | None, int]]) -> None:
    tree = Regions.from_table(TREE.table)
    codes = pl.Series("kode", [code for code, _ in rows], dtype=pl.String)
    moments = pl.Series("at", [moment for _, moment in rows], dtype=pl.Int64)
    expected = [TREE.resolve(code, moment) for code, moment in rows]
    for times in (moments.cast(pl.Datetime("us", "UTC")), moments):
        for _ in range(2):  # the second time from memory
            resolved, faults = tree.resolve_column(codes, times)
            assert resolved.name == "kode"
            assert resolved.dtype == pl.String
            assert resolved.to_list() == [None if isinstance(each, Unresolved) else each for each in expected]
            assert faults == {row: tuple(each) for row, each in enumerate(expected) if isinstance(each, Unresolved)}


@given(ANY_CODE, MOMENTS)
def test_what_a_code_was_resolved_to_is_in_force_and_means_itself(code: str | None, moment: int) -> None:
    found = TREE.resolve(code, moment)
    if not isinstance(found, Unresolved):
        assert TREE.resolve(found, moment) == found
        assert TREE.table.row(".".join(found.split(".")[:4]), moment) is not None
        for above in ancestors(found):
            assert TREE.resolve(above, moment) == above


def test_a_gap_is_found_anywhere_in_a_period() -> None:
    always = (-(1 << 63), (1 << 63) - 1)
    assert TREE.gap("99.01.04.2005", *always) is None
    assert TREE.gap("99.01.01.2001", *always) is None, "its successor stands for it"
    assert TREE.gap("99.01.01.2004", always[0], at("2018-07-01")) is None
    for code, since, until, rule_ in [
        ("99.01.01.2004", *always, "retired_region"),
        ("99.01.01.2004", at("2018-01-01"), at("2018-07-01") + 1, "retired_region"),
        ("99.01.02", *always, "unknown_region"),
        ("99.01.04.2004.001", *always, "retired_region"),
        ("99.01.99", *always, "unknown_region"),
    ]:
        found = TREE.gap(code, since, until)
        assert found is not None
        assert found.rule == rule_
    assert TREE.gap("99.01.02", at("2018-07-01"), always[1]) is None


def test_a_table_without_dates_is_resolved_by_column_too() -> None:
    codes = pl.Series("k", ["33.09.01.2001", None, "33.09.01.2001.001.002", "33.09.23"])
    resolved, faults = REAL.resolve_column(codes, pl.Series("at", [0, 1, 2, 3], dtype=pl.Int64))
    assert resolved.to_list() == ["33.09.01.2001", None, "33.09.01.2001.001.002", None]
    assert {row: fault[0] for row, fault in faults.items()} == {1: "unknown_region", 3: "unknown_region"}
    empty, none = REAL.resolve_column(codes.clear(), pl.Series("at", [], dtype=pl.Datetime("us", "UTC")))
    assert (empty.to_list(), none) == ([], {})


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.indicators.regions._REMEMBERED", 3)
    tree = Regions.from_table(TREE.table)
    codes = pl.Series("k", [f"99.01.04.2005.{number:03}" for number in range(50)])
    resolved, _ = tree.resolve_column(codes, pl.Series("at", [0] * 50, dtype=pl.Int64))
    assert resolved.to_list() == codes.to_list()
    assert len(tree._known) <= 3


def test_ancestors_are_nearest_first_up_to_the_kabupaten() -> None:
    assert ancestors("33.09.01.2001.001.002") == ("33.09.01.2001.001", "33.09.01.2001", "33.09.01", "33.09")
    assert ancestors("33.09.01") == ("33.09",)
    assert ancestors("33.09") == ()


def test_names_and_levels() -> None:
    assert [TREE.name(code) for code in ("99.01.06", "99.01.01.2001", "99.01.04.2005.012", "99.01.04.2005.012.003")] == [
        "Nama Baru", "Satu", "RW 012", "RT 003",
    ]  # fmt: skip
    levels = [
        TREE.level(code) for code in ("99.01", "99.01.06", "99.01.02.1001", "99.01.04.2005", "99.01.04.2005.012", "99.01.04.2005.012.003")
    ]
    assert levels == ["kabupaten", "kecamatan", "kelurahan", "desa", "rw", "rt"]
    for wrong in ("99.02", "99.01.04.2999.001"):
        with pytest.raises(KeyError):
            TREE.name(wrong)


def test_the_real_table_has_the_regions_of_boyolali() -> None:
    levels = [REAL.level(code) for code in REAL.codes()]
    assert {level: levels.count(level) for level in set(levels)} == {"kabupaten": 1, "kecamatan": 22, "desa": 261, "kelurahan": 6}
    per_district = {
        code: sum(below.startswith(f"{code}.") for below in REAL.codes()) for code in REAL.codes() if REAL.level(code) == "kecamatan"
    }
    assert list(per_district.values()) == [10, 10, 15, 10, 9, 13, 13, 12, 15, 16, 12, 13, 13, 16, 13, 16, 13, 8, 10, 10, 10, 10]
    kelurahan = {code: REAL.name(code) for code in REAL.codes() if REAL.level(code) == "kelurahan"}
    assert kelurahan == {
        "33.09.05.1001": "Pulisen", "33.09.05.1002": "Siwodipuran", "33.09.05.1004": "Banaran", "33.09.06.1007": "Kemiri",
        "33.09.06.1009": "Mojosongo", "33.09.19.1006": "Sambeng",
    }  # fmt: skip
    assert [REAL.name(f"33.09.{number}") for number in ("02", "20", "04", "21", "18", "22")] == [
        "Ampel", "Gladagsari", "Musuk", "Tamansari", "Wonosegoro", "Wonosamodro",
    ]  # fmt: skip
    for code in REAL.codes():
        assert REAL.resolve(code, at("1950-01-01")) == REAL.resolve(code, at("2100-01-01")) == code


SMALL = """kode,induk,tingkat,nama,berlaku_dari,berlaku_sampai,pengganti
99.01,99,kabupaten,Uji,,,
99.01.01,99.01,kecamatan,Satu,,2018-07-01,99.01.02
99.01.02,99.01,kecamatan,Dua,,,
99.01.02.2001,99.01.02,desa,Desa,,,
99.01.02.1001,99.01.02,kelurahan,Lurah,,,
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("99.01.01,99.01", "99.01.1,99.01", "wilayah.csv:3: kode: received '99.01.1'; allowed: PP.KK, PP.KK.CC or PP.KK.CC.DDDD"),
        ("2001,99.01.02,", "2001,99.01,", "wilayah.csv:5: induk: received '99.01'; allowed: '99.01.02', the code without its last part"),
        ("kecamatan,Dua", "desa,Dua", "wilayah.csv:4: tingkat: received 'desa'; allowed: kecamatan"),
        ("kelurahan,Lurah", "desa,Lurah", "wilayah.csv:6: tingkat: received 'desa'; allowed: kelurahan"),
        ("desa,Desa", "kelurahan,Desa", "wilayah.csv:5: tingkat: received 'kelurahan'; allowed: desa"),
        ("2018-07-01,99.01.02", "2018-07-01,99.01.02.2001", "wilayah.csv:3: pengganti: received 99.01.02.2001; allowed: codes of the same level"),
    ],
)  # fmt: skip
def test_a_table_that_is_no_tree_of_codes_is_refused(old: str, new: str, said: str) -> None:
    Regions.from_table(table(SMALL))
    assert old in SMALL
    with pytest.raises(ConfigurationError) as caught:
        Regions.from_table(table(SMALL.replace(old, new)))
    assert said in str(caught.value)


def test_a_table_with_other_columns_or_keys_is_no_region_table() -> None:
    with pytest.raises(ConfigurationError, match="declared otherwise"):
        Regions.from_table(table(form=FORM.replace(', successor = "pengganti"', "")))
    with pytest.raises(ConfigurationError, match="lacks tingkat"):
        Regions.from_table(table(REGIONS.replace("tingkat", "level"), FORM.replace("tingkat =", "level =")))
