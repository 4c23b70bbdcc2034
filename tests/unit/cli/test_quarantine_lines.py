"""What `bus quarantine replay` prints: a thing once, however many indicators it is said of."""

from __future__ import annotations

from bus.cli.quarantine import _lines
from bus.ingest.quarantine import Place
from bus.kafka.places import LogPlace
from bus.ops.quarantine import Replayed


def _left_out(indicator: str, problem: str = "", outcome: str = "", offset: int = 7) -> Replayed:
    return Replayed(LogPlace("events.a.b.c.v1", 0, offset, indicator), problem=problem, problem_en=problem, outcome=outcome)


def test_records_of_the_log_are_grouped() -> None:
    found = [
        _left_out("a.x", "a.x: too large: mend a.x.toml"),
        _left_out("a.y", "a.y: too large: mend a.y.toml"),
        _left_out("a.z", outcome="mended"),
        _left_out("", "no schema of a reads it", offset=9),
        Replayed(Place("a/s", 1, 2), events=3),
    ]
    assert list(_lines(found)) == [
        "a/s|1|2: 3 events published",
        "events.a.b.c.v1/0/7:",
        "  a.x, a.y: still refused: too large: mend the indicator's file",
        "  a.z: mended",
        "events.a.b.c.v1/0/9:",
        "  every indicator: still refused: no schema of a reads it",
    ]
