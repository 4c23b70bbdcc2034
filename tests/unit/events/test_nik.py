"""A NIK is found wherever it hides; what only resembles one passes."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events.nik import contains_nik, is_nik_number


@st.composite
def niks(draw: st.DrawFn) -> str:
    day = draw(st.integers(1, 31) | st.integers(41, 71))
    month, year, serial = draw(st.integers(1, 12)), draw(st.integers(0, 99)), draw(st.integers(1, 9999))
    return f"{draw(st.sampled_from([33, 11, 97]))}{draw(st.integers(101, 9999)):04}{day:02}{month:02}{year:02}{serial:04}"


@given(
    niks(),
    st.sampled_from(["", "NIK", "NIK:", "a ", "rumah no. 5; ", "\n", "é", "/"]),
    st.sampled_from(["", " x", ".", "abc", "/2024-01-01"]),
)
def test_found_in_any_text(nik: str, before: str, after: str) -> None:
    assert contains_nik(before + nik + after)


@given(niks(), st.sampled_from([" ", ".", "-", "  ", " - "[:2], "_", "\u2013", "\u00a0"]))
def test_found_with_separators(nik: str, mark: str) -> None:
    assert contains_nik(mark.join([nik[:4], nik[4:8], nik[8:12], nik[12:]]))
    assert contains_nik(mark.join([nik[:6], nik[6:12], nik[12:]]))
    assert contains_nik(mark.join(nik))


@given(niks(), niks(), st.sampled_from(["", " ", "-", ", ", "\n"]))
def test_found_beside_another(one: str, other: str, mark: str) -> None:
    assert contains_nik(one + mark + other)
    assert contains_nik("081234567890" + mark + one)


def test_found_in_other_digits() -> None:
    assert contains_nik("3309121203990001".translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")))


@pytest.mark.parametrize(
    "text",
    [
        "3309123203990001",  # day 32
        "3309124003990001",  # day 40
        "3309127203990001",  # day 72
        "3309121213990001",  # month 13
        "3309121200990001",  # month 00
        "3309121203990000",  # serial 0000
        "330912120399001",
        "DKI1/2020-01-01",
        "3309122001/2010-12",
        "2024-01-01T00:00:00.000000+00:00",
        "198503302003121002",  # a civil servant's number
        "",
    ],
)
def test_not_found(text: str) -> None:
    assert not contains_nik(text)


def test_pseudonyms_and_event_ids_pass() -> None:
    for number in range(3000):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        assert not contains_nik(digest)
        assert not contains_nik(f"warga/{digest}/{uuid.UUID(digest[:32])}")
    assert not contains_nik("a309121203990001" + "3309121203990001" * 3)
    assert contains_nik("3309121203990001" * 4), "a digest without a letter is no digest"


def test_the_code_of_an_rt_passes_and_hides_nothing() -> None:
    code = "33.09.01.2001.001.002"
    assert contains_nik(code.replace(".", "")), "the digits alone have the structure of a NIK"
    for text in (code, f"rt/{code}", f"{code}/2026-05", f"{code}, {code}", f"({code})."):
        assert not contains_nik(text), text
    for text in (code.replace(".", "-"), code.replace(".", " "), f"{code}.3", f"7.{code}", f"{code} 3309121203990001"):
        assert contains_nik(text), text
    assert contains_nik("33.09.12.4103.990.001"), "no desa's number begins with 4"


@given(niks())
def test_numbers(nik: str) -> None:
    assert is_nik_number(int(nik))
    assert is_nik_number(float(nik))
    assert not is_nik_number(int(nik) * 10)
    assert not is_nik_number(-int(nik))
