"""What is held back while a line is away is told when it is back, in its order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bus.simulation.faults import Outage, in_order
from bus.simulation.story import Telling

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


def _telling(seconds: int, name: str) -> Telling:
    return Telling("s", BEGIN + timedelta(seconds=seconds), {"name": name})


def test_what_was_held_back_comes_in_its_order_and_apart() -> None:
    away = Outage(BEGIN + timedelta(hours=1), BEGIN + timedelta(days=3))
    tellings = [_telling(7_200, "c"), _telling(60, "a"), _telling(3_601, "b"), _telling(7_200, "d"), _telling(4 * 86_400, "e")]
    told = in_order({"x": tellings}, {"x": away})
    assert [each.telling.record["name"] for each in told] == ["a", "b", "c", "d", "e"]
    assert [each.at == away.until or each.at.replace(microsecond=0) == away.until for each in told] == [False, True, True, True, False]
    assert told[1].at < told[2].at == told[3].at
