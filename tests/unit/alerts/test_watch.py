"""When an episode begins, changes and ends: one rule, one group, told in order."""

from __future__ import annotations

from pathlib import Path

from consumers.alerts.unit import Unit
from tests.unit.alerts.world import DAY, HOUR, NOON, SECOND, row, rule, said, shipped, told

LEVELS = ("Level I (Normal)", "Level II (Waspada)", "Level III (Siaga)", "Level IV (Awas)")


def test_a_threshold_begins_once_and_ends_once(tmp_path: Path) -> None:
    about = rule(tmp_path, '{ kind = "threshold", above = 2 }')
    unit = Unit(about)
    values = ["1", "3", "4", "2", "3"]
    rows = [(NOON + number * SECOND, row(about, value, "M", "x", revision=number + 1)) for number, value in enumerate(values)]
    assert told(unit, *rows) == [("begun", "3"), ("revised", "4"), ("ended", "2"), ("begun", "3")]


def test_hysteresis_keeps_what_moves_around_the_limit_one_episode(tmp_path: Path) -> None:
    about = rule(tmp_path, '{ kind = "threshold", above = 100, clear = 95 }', of="dlh.highest_index_daily")
    values = ["100", "101", "99", "96", "120", "95", "99", "101"]
    rows = [(NOON + number * SECOND, row(about, value, revision=number + 1)) for number, value in enumerate(values)]
    kinds = [kind for kind, _ in told(Unit(about), *rows)]
    assert kinds == ["begun", "revised", "revised", "revised", "ended", "begun"]


def test_below_is_the_same_downwards(tmp_path: Path) -> None:
    about = rule(tmp_path, '{ kind = "threshold", below = 5, clear = 8, steps = [2] }')
    values = ["5", "4", "7", "1", "4", "6", "8"]
    rows = [(NOON + number * SECOND, row(about, value, "M", "x", revision=number + 1)) for number, value in enumerate(values)]
    # the step has the margin of the limit: back from 2 is not before 5
    assert told(Unit(about), *rows) == [
        ("begun", "4"), ("revised", "7"), ("changed", "1"), ("revised", "4"), ("changed", "6"), ("ended", "8"),
    ]  # fmt: skip


def test_merapi_rises_and_falls_as_one_episode_of_the_volcano() -> None:
    """A level is a dimension: of each change one row goes and another comes, in whichever order."""
    about = shipped("bpbd.merapi_level")
    unit = Unit(about)
    at = NOON

    def declare(old: int | None, new: int, revision: int, *, first: str) -> list[tuple[str, str | None]]:
        nonlocal at
        at += HOUR
        come = row(about, str(new), "MERAPI", LEVELS[new - 1], revision=revision)
        if old is None:
            return told(unit, (at, come))
        gone = row(about, None, "MERAPI", LEVELS[old - 1], revision=revision)
        pair = (gone, come) if first == "gone" else (come, gone)
        return told(unit, *((at + number * SECOND, each) for number, each in enumerate(pair)))

    assert declare(None, 1, 1, first="") == []
    assert declare(1, 2, 2, first="gone") == [("begun", "2")]
    assert declare(2, 3, 3, first="gone") == [("changed", "3")]
    assert declare(3, 4, 4, first="come") == [("changed", "4")]
    assert declare(4, 2, 5, first="gone") == [("changed", "2")]
    assert declare(2, 1, 6, first="come") == [("ended", "1")]


def test_what_has_no_row_any_more_is_over_after_a_moment() -> None:
    about = shipped("bpbd.disasters_active")
    unit = Unit(about)
    place = ("BANJIR", "TERVERIFIKASI", "33.09.01.2001")
    assert told(unit, (NOON, row(about, "1", *place))) == [("begun", "1")]
    assert told(unit, (NOON + HOUR, row(about, None, *place, revision=2))) == []
    assert unit.advance(NOON + HOUR + 10 * SECOND) == []
    (ended,) = unit.advance(NOON + HOUR + 11 * SECOND)
    assert (ended.kind, ended.reason, ended.at_us, ended.episode.facts.value) == ("ended", "gone", NOON + HOUR + 10 * SECOND, "1")


def test_only_what_is_watched_counts() -> None:
    about = shipped("bpbd.disasters_active")
    for region in ("33.09", "33.09.01", "33.09.01.2001.001"):
        assert told(Unit(about), (NOON, row(about, "1", "BANJIR", "TERVERIFIKASI", region))) == []


def test_of_cells_that_share_an_episode_the_worst_counts() -> None:
    about = shipped("bpbd.disasters_active")
    unit = Unit(about)
    kelurahan = "33.09.05.1001"
    assert told(
        unit,
        (NOON, row(about, "1", "BANJIR", "BELUM", kelurahan)),
        (NOON, row(about, "3", "BANJIR", "TERVERIFIKASI", kelurahan)),
        (NOON, row(about, "1", "TANAH LONGSOR", "BELUM", kelurahan)),
    ) == [("begun", "1"), ("changed", "3"), ("begun", "1")]


def test_an_older_or_equal_record_changes_nothing(tmp_path: Path) -> None:
    about = rule(tmp_path, '{ kind = "threshold", above = 2 }')
    unit = Unit(about)
    assert told(unit, (NOON, row(about, "3", "M", "x", revision=7)), (NOON, row(about, "1", "M", "x", revision=6))) == [("begun", "3")]
    assert told(unit, (NOON, row(about, "1", "M", "x", revision=7))) == []
    assert told(unit, (NOON, row(about, "1", "M", "x", revision=1, version=2))) == [("ended", "1")]
    assert told(unit, (NOON, row(about, "9", "M", "y", revision=99, version=1))) == []


def test_a_new_window_goes_on_with_the_episode_and_an_old_one_alarms_nobody() -> None:
    about = shipped("disnakkan.disease")
    unit = Unit(about)
    cow = ("PMK", "SAPI PERAH", "33.09.03")
    assert told(unit, (NOON + 30 * DAY, row(about, "40", *cow, at=NOON))) == []
    assert told(unit, (NOON + 30 * DAY, row(about, "5", *cow, at=NOON + 29 * DAY))) == [("begun", "5")]
    assert told(unit, (NOON + 31 * DAY, row(about, "7", *cow, at=NOON + 30 * DAY))) == [("revised", "7")]
    assert told(unit, (NOON + 31 * DAY, row(about, "60", *cow, at=NOON + 29 * DAY, revision=2))) == []
    (ended,) = unit.advance(NOON + 35 * DAY)
    # midnight after the last window, and the three days of `fresh`
    assert (ended.kind, ended.reason, ended.at_us) == ("ended", "stale", NOON + 33 * DAY + 12 * HOUR)


def test_a_change_is_against_the_window_before_of_the_same_dimensions() -> None:
    about = shipped("disdagperin.price_jump")
    unit = Unit(about)
    rice, fish = ("PASAR SIMO", "Beras", "kg"), ("PASAR SIMO", "Ikan", "kg")
    day = [NOON + number * DAY for number in range(4)]
    assert told(unit, *((day[0], row(about, price, *what, at=day[0])) for what, price in ((rice, "10000"), (fish, "99000")))) == []
    assert told(unit, (day[1], row(about, "11000.5", *rice, at=day[1])), (day[1], row(about, "99000", *fish, at=day[1]))) == []
    # judged when the day is over, at midnight
    (begun,) = unit.advance(day[2])
    assert (begun.kind, begun.at_us) == ("begun", day[1] + 12 * HOUR)
    assert (begun.episode.facts.value, begun.episode.facts.previous, begun.episode.facts.limit) == ("11000.5", "10000", "10")
    assert told(unit, (day[2], row(about, "11000", *rice, at=day[2]))) == []
    assert said(unit.advance(day[3])) == [("ended", "11000")]


def test_a_fall_and_no_window_before(tmp_path: Path) -> None:
    about = rule(tmp_path, '{ kind = "change", fall = 5, steps = [10] }', 'fresh = "30d"', of="dlh.highest_index_daily")
    unit = Unit(about)
    values = [(0, "50"), (1, "45"), (2, "39"), (4, "1"), (5, "1"), (6, "-10")]
    rows = [(NOON + day * DAY, row(about, value, at=NOON + day * DAY)) for day, value in values]
    assert told(unit, *rows) == [("begun", "39"), ("ended", "39"), ("begun", "-10")]
    episode = next(iter(unit.groups.values())).episode
    assert episode is not None
    assert (episode.phase, episode.facts.limit) == (2, "10")


def test_silence_begins_at_its_deadline_whenever_that_is_noticed() -> None:
    about = shipped("rsud.beds_silent")
    late, early = Unit(about), Unit(about)
    first, second = row(about, "70", "SIMO", "33.09"), row(about, "71", "SIMO", "33.09", revision=2)
    assert told(late, (NOON, first)) == told(early, (NOON, first)) == []
    assert early.advance(NOON + DAY) == []
    (begun,) = early.advance(NOON + DAY + 1)
    assert (begun.kind, begun.at_us) == ("begun", NOON + DAY)
    noticed = late.apply([(1, NOON + 3 * DAY, second)], upto=2)
    assert [(each.kind, each.at_us) for each in noticed] == [("begun", NOON + DAY), ("ended", NOON + 3 * DAY)]
    assert noticed[0].episode.id == begun.episode.id
    assert early.advance(NOON + 2 * DAY) == []


def test_reporters_that_are_not_heard_of_are_missed_when_their_time_is_over() -> None:
    about = shipped("dlh.sensors_silent")
    unit = Unit(about)
    cells = (("BYL1", "PM25"), ("SLO1", "PM25"))
    rows = [(NOON, row(about, "12", *cell, heard=2, expected=3)) for cell in cells]
    assert told(unit, *rows) == []
    (begun,) = unit.advance(NOON + DAY)
    assert (begun.kind, begun.at_us) == ("begun", NOON + 18 * HOUR)
    assert (begun.episode.facts.heard, begun.episode.facts.expected) == (2, 3)
    mended = [(NOON + DAY, row(about, "13", *cell, heard=3, expected=3, revision=2)) for cell in cells]
    assert [kind for kind, _ in told(unit, *mended)] == ["ended"]


def test_nobody_is_missed_where_nobody_is_expected() -> None:
    about = shipped("dlh.sensors_silent")
    unit = Unit(about)
    assert told(unit, (NOON, row(about, "12", "BYL1", "PM25", heard=0, expected=0))) == []
    assert unit.advance(NOON + 9 * DAY) == []


def test_a_standard_is_at_risk_and_then_broken() -> None:
    within, age = shipped("dpmptsp.within_sla"), shipped("diskominfo.complaints_old")
    shares = ["0.97", "0.949", "0.955", "0.89", "0.92", "0.97"]
    rows = [(NOON + n * SECOND, row(within, share, "SIP", "DINKES", revision=n + 1)) for n, share in enumerate(shares)]
    assert told(Unit(within), *rows) == [
        ("begun", "0.949"),
        ("revised", "0.955"),
        ("changed", "0.89"),
        ("changed", "0.92"),
        ("ended", "0.97"),
    ]
    ages = ["864000", "864001", "1209601", "800000", "777600"]
    rows = [(NOON + n * SECOND, row(age, each, "DPUPR", "33.09", revision=n + 1)) for n, each in enumerate(ages)]
    assert told(Unit(age), *rows) == [("begun", "864001"), ("changed", "1209601"), ("changed", "800000"), ("ended", "777600")]
