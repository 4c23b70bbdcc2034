"""What a heartbeat's record says, and which records are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events.heartbeat import TYPE, Heartbeat, heartbeat_headers, heartbeat_of

_WIB = timezone(timedelta(hours=7))


@given(
    source=st.text(min_size=1).filter(lambda text: text.isprintable()),
    at=st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, _WIB])),
)
def test_what_is_said_is_read(source: str, at: datetime) -> None:
    beat = heartbeat_of(heartbeat_headers(source, at))
    assert beat is not None
    assert (beat.source, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=beat.at_us)) == (source, at)


def test_the_record_is_as_agreed() -> None:
    headers = heartbeat_headers("dlh/ispu", datetime(2024, 1, 1, 7, tzinfo=_WIB))
    assert headers == (("ce_type", b"bus.heartbeat.v1"), ("ce_source", b"dlh/ispu"), ("ce_time", b"2024-01-01T00:00:00+00:00"))
    assert heartbeat_of(reversed(headers)) == Heartbeat("dlh/ispu", 1_704_067_200_000_000)


@pytest.mark.parametrize(
    "change",
    [
        {"ce_type": b"bus.heartbeat.v2"}, {"ce_type": None}, {"ce_source": b""}, {"ce_source": b"\xff"}, {"ce_source": None},
        {"ce_time": b"2024-01-01T00:00:00"}, {"ce_time": b"yesterday"}, {"ce_time": b""}, {"ce_time": None},
    ],
)  # fmt: skip
def test_what_says_it_wrongly_is_none(change: dict[str, bytes]) -> None:
    headers = dict(heartbeat_headers("dlh/ispu", datetime(2024, 1, 1, tzinfo=UTC))) | change
    assert heartbeat_of(headers.items()) is None


@pytest.mark.parametrize("missing", ["ce_type", "ce_source", "ce_time"])
def test_what_says_it_in_part_is_none(missing: str) -> None:
    said = heartbeat_headers("dlh/ispu", datetime(2024, 1, 1, tzinfo=UTC))
    assert heartbeat_of(header for header in said if header[0] != missing) is None
    assert heartbeat_of(()) is None
    assert said[0] == ("ce_type", TYPE)
