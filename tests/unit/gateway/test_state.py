from __future__ import annotations

import pytest

from bus.kafka.ports import Message, Record
from consumers.dashboard.state import State
from tests.unit.gateway.feed import DECODE, month, value


class Log:
    """Applies messages to a state as if they were read from a topic, one round each call."""

    def __init__(self) -> None:
        self.state = State(DECODE)
        self.ends: dict[str, int] = {}

    def write(self, *messages: Message) -> bool:
        changed = False
        for message in messages:
            offset = self.ends.get(message.topic, 0)
            self.ends[message.topic] = offset + 1
            record = Record(message.topic, 0, offset, message.key, message.value, message.headers, offset + 1)
            changed |= self.state.apply(message.topic, [record], upto=offset + 1)
        return changed

    def values(self, indicator: str = "dlh.x") -> list[str | None]:
        return [cell.value for cell in self.state.indicators[indicator].cells()]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ({"revision": 4}, {"revision": 3}, "1"),
        ({"revision": 3}, {"revision": 4}, "2"),
        ({"revision": 3, "status": "final", "offset": 9}, {"revision": 3, "status": "provisional", "offset": 5}, "1"),
        ({"revision": 3, "status": "final", "offset": 5}, {"revision": 3, "status": "provisional", "offset": 9}, "2"),
        ({"revision": 3, "status": "provisional", "offset": 5}, {"revision": 3, "status": "final", "offset": 9}, "2"),
        ({"revision": 4, "offset": 5}, {"revision": 3, "offset": 9}, "1"),
        ({"revision": 3, "status": "final"}, {"revision": 4, "status": "provisional"}, "2"),
        ({"version": 2, "revision": 1}, {"version": 1, "revision": 9}, "1"),
        ({"version": 1, "revision": 9}, {"version": 2, "revision": 1}, "2"),
        ({"revision": 3}, {"revision": 3}, "2"),
    ],
)
def test_the_highest_version_revision_and_evidence_stays(log: Log, first: dict[str, int], second: dict[str, int], stays: str) -> None:
    log.write(value("dlh.x", "1", **first), value("dlh.x", "2", **second))  # type: ignore[arg-type]
    assert log.values() == [stays]


def test_a_cell_without_events_is_not_shown_and_a_lower_revision_does_not_bring_it_back(log: Log) -> None:
    log.write(value("dlh.x", "1", revision=1), value("dlh.x", None, revision=3, n=0))
    assert log.values() == []
    assert not log.write(value("dlh.x", "1", revision=2))
    assert log.values() == []
    assert log.write(value("dlh.x", "7", revision=4))
    assert log.values() == ["7"]
    assert log.state.indicators["dlh.x"].shown == 1


def test_a_closing_that_nobody_is_left_in_is_shown_until_it_is_withdrawn(log: Log) -> None:
    log.write(value("dlh.x", "1", revision=1, more={"closing": True}))
    assert log.write(value("dlh.x", None, revision=2, n=0, more={"closing": True}))
    assert log.values() == [None]
    assert log.write(value("dlh.x", None, revision=3, n=0, more={"closing": True, "value": "0"}))
    assert log.values() == ["0"]
    assert log.state.indicators["dlh.x"].shown == 1
    log.write(value("dlh.x", None, revision=0, n=0, version=2))
    assert log.values() == []


def test_a_new_version_ends_the_cells_of_the_old_one(log: Log) -> None:
    log.write(*(value("dlh.x", str(number), dimensions={"station": f"DKI{number}"}) for number in (1, 2, 3)))
    before = log.state.change
    log.write(value("dlh.x", "20", version=2, dimensions={"station": "DKI2"}))
    assert log.values() == ["20"]
    assert {entry.key[-9:]: entry.cell is None for entry in log.state.changed(None, after=before)} == {
        '["DKI1"]]': True,
        '["DKI2"]]': False,
        '["DKI3"]]': True,
    }
    assert not log.write(value("dlh.x", "9", version=1, revision=99, dimensions={"station": "DKI1"}))
    assert log.values() == ["20"]


def test_a_tombstone_takes_a_cell_away(log: Log) -> None:
    message = value("dlh.x", "1")
    log.write(message, Message(message.topic, 0, message.key, None))
    assert log.values() == []
    assert log.state.indicators["dlh.x"].shown == 0


def test_a_repeated_record_is_no_change(log: Log) -> None:
    assert log.write(value("dlh.x", "1"))
    number = log.state.change
    assert not log.write(value("dlh.x", "1"))
    assert log.state.change == number


def test_an_unreadable_record_is_counted_and_the_others_go_on(log: Log) -> None:
    message = value("dlh.x", "1")
    log.write(Message(message.topic, 0, message.key, b"\x00\xff\xff\xff\xff1234"), value("dlh.x", "2", dimensions={"station": "DKI2"}))
    assert log.values() == ["2"]
    assert list(log.state.indicators["dlh.x"].unreadable) == [0]


def test_cells_are_sorted_by_window_and_dimensions_with_missing_values_last(log: Log) -> None:
    log.write(
        value("dlh.x", "4", window=month(2), dimensions={"station": "DKI1"}),
        value("dlh.x", "3", dimensions={"station": None}),
        value("dlh.x", "2", dimensions={"station": "DKI2"}),
        value("dlh.x", "1", dimensions={"station": "DKI1"}),
    )
    assert log.values() == ["1", "2", "3", "4"]


def test_positions_move_over_what_compaction_took_away(log: Log) -> None:
    log.state.apply("indicators.dlh.x", (), upto=17)
    assert log.state.indicators["dlh.x"].position == 17


def test_a_log_is_recognised_by_the_time_of_its_first_record(log: Log) -> None:
    log.write(value("dlh.x", "1"), value("dlh.x", "2", revision=2))
    assert log.state.indicators["dlh.x"].born_ms == 1
    log.state.reset()
    assert (log.state.indicators["dlh.x"].born_ms, log.state.indicators["dlh.x"].position, log.state.generation) == (0, 0, 1)
