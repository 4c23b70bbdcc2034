"""Once per episode and channel, whatever happens in between: crashes, a full disk, channels that are away, refuse or are slow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bus.alerts.rule import Rule
from bus.errors import ConfigurationError, FatalError, TransientError
from bus.indicators.outputs import Output
from bus.settings import AlertsSettings
from consumers.alerts.notice import Channel
from consumers.alerts.sender import Outcome
from consumers.alerts.store import Store
from tests.unit.alerts.post import Crash, Effects, Held, Mailbox, World
from tests.unit.alerts.world import DAY, HOUR, NOON, SECOND, row, rule, shipped

LATER = Outcome("away")
NEVER = Outcome("refused", final=True)


@pytest.fixture
def about(tmp_path: Path) -> Rule:
    return rule(tmp_path, '{ kind = "threshold", above = 2, steps = [5] }', 'recipients = ["a", "b"]')


def history(about: Rule) -> list[tuple[int, Output]]:
    """Two episodes of one place, one of another that goes on."""
    values = [("M", "3"), ("N", "9"), ("M", "6"), ("M", "1"), ("M", "4"), ("M", "2")]
    return [(NOON + n * SECOND, row(about, value, place, "x", revision=n + 1)) for n, (place, value) in enumerate(values)]


WANTED = [("begun", "3"), ("begun", "9"), ("changed", "6"), ("ended", "1"), ("begun", "4"), ("ended", "2")]


def world(folder: Path, about: Rule, *more: Rule, **settings: float) -> World:
    return World(
        folder, [about, *more], {about.topic: history(about)}, Held(NOON + 10 * SECOND), {name: Channel(name) for name in "ab"},
        {name: Mailbox() for name in "ab"}, settings=AlertsSettings(longest_wait_seconds=0.01, **settings),
    )  # fmt: skip


def values(mailbox: Mailbox) -> list[tuple[str, object]]:
    return [(kind, value) for kind, _, value in mailbox.told]


async def test_each_channel_is_told_everything_once_in_order(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    for _ in range(3):
        with place.process() as (desk, store):
            place.read(desk)
            await place.deliver(store)
    assert values(place.mailboxes["a"]) == values(place.mailboxes["b"]) == WANTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_between_any_two_effects_forgets_nothing(tmp_path: Path, about: Rule, after: bool) -> None:
    """Killed at every single effect in turn: nothing is missing, and at most the one delivery that was under way comes twice, as itself."""
    crash_at, crashed = 0, True
    while crashed:
        crash_at += 1
        folder = tmp_path / f"{after}{crash_at}"
        place = world(folder, about)
        place.effects = Effects(crash_at, after)
        crashed = False
        try:
            with place.process() as (desk, store):
                place.read(desk)
                await place.deliver(store)
        except Crash:
            crashed = True
        place.effects = Effects()
        with place.process() as (desk, store):
            place.read(desk, batch=1)
            await place.deliver(store)
            assert {state for *_, state in store.states()} == {"sent"}
        repeated = 0
        for mailbox in place.mailboxes.values():
            ids = [each.id for each in mailbox.taken]
            first = {each.id: each for each in reversed(mailbox.taken)}
            assert [(each.kind, each.notice["value"]) for each in sorted(first.values(), key=lambda each: each.seq)] == WANTED, crash_at
            assert sorted(ids, key=ids.index) == ids
            repeated += len(ids) - len(first)
        assert repeated <= 1, crash_at
    assert crash_at > 20


async def test_a_dead_channel_holds_up_no_other(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    place.mailboxes["a"].answers = [LATER]
    with place.process() as (desk, store):
        place.read(desk)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(place.deliver(store), 0.3)
        assert values(place.mailboxes["b"]) == WANTED
        assert values(place.mailboxes["a"]) == []
        assert store.waiting() == {"a": len(WANTED)}
        place.mailboxes["a"].answers = [LATER, Outcome()]
        await place.deliver(store)
    assert values(place.mailboxes["a"]) == WANTED


async def test_what_a_channel_refuses_for_good_is_not_continued(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    place.mailboxes["a"].answers = [NEVER, Outcome()]
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
        of_a = [(kind, state) for _, kind, channel, state in store.states() if channel == "a"]
    assert of_a == [
        ("begun", "refused"), ("begun", "sent"), ("changed", "skipped"), ("ended", "skipped"), ("begun", "sent"), ("ended", "sent"),
    ]  # fmt: skip
    assert values(place.mailboxes["a"]) == [("begun", "9"), ("begun", "4"), ("ended", "2")]


async def test_what_was_long_over_before_anybody_was_told_is_not_told_and_what_goes_on_is(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about, oldest_seconds=60)
    place.clock.pass_(days=3)
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
    assert values(place.mailboxes["a"]) == [("begun", "9")]


async def test_whoever_was_told_that_it_began_is_told_that_it_is_over_however_late(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about, oldest_seconds=60)
    place.rows[about.topic] = history(about)[:1]
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
    place.rows[about.topic] = history(about)
    with place.process() as (desk, _):
        place.read(desk)
    place.clock.pass_(days=3)
    with place.process() as (desk, store):
        await place.deliver(store)
    assert values(place.mailboxes["a"]) == [("begun", "3"), ("begun", "9"), ("changed", "6"), ("ended", "1")]


async def test_a_channel_that_stays_away_is_given_up_only_for_what_is_over(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about, give_up_seconds=3600, oldest_seconds=1e9)
    place.mailboxes["a"].answers = [LATER]
    with place.process() as (desk, store):
        place.read(desk)
        place.clock.pass_(hours=2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(place.deliver(store), 0.5)
        of_a = [(kind, state) for _, kind, channel, state in store.states() if channel == "a"]
    assert of_a[0] == ("begun", "given_up")
    assert of_a[1] == ("begun", "waiting"), "its episode goes on"


async def test_serta_merta_goes_before_what_is_not(tmp_path: Path, about: Rule) -> None:
    """A backlog of routine does not stand before what endangers lives; each of the two keeps its order."""
    place = world(tmp_path, about)
    routine = shipped("dpmptsp.within_sla")
    object.__setattr__(routine.spec, "recipients", ["a"])
    place.rules = [routine, about]
    place.rows[routine.topic] = [(NOON + n, row(routine, "0.5", f"SIP{n}", "DINKES", n=20)) for n in range(4)]
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
    kinds = [each.urgent for each in place.mailboxes["a"].taken]
    assert kinds == [True] * 6 + [False] * 4
    assert [each.notice["dimensions"]["permit_type"] for each in place.mailboxes["a"].taken[6:]] == ["SIP0", "SIP1", "SIP2", "SIP3"]


class FullDisk(Store):
    """Takes nothing while it is full."""

    full = False

    def done(self, seq: int, state: str, at_us: int) -> None:
        self._check()
        super().done(seq, state, at_us)

    def commit(self, steps: object, made_us: int) -> list[str]:
        self._check()
        return super().commit(steps, made_us)  # type: ignore[arg-type]

    def _check(self) -> None:
        if self.full:
            raise TransientError("the disk is full")


async def test_a_full_disk_loses_no_record_and_sends_nothing_twice(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    del place.mailboxes["b"], place.channels["b"]
    store = FullDisk(place.path)
    desk = place.desk(store)
    store.full = True
    with pytest.raises(TransientError):
        place.read(desk)
    assert desk.add(about.topic).position == 0
    store.full = False
    place.read(desk)
    store.full = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(place.deliver(store), 0.2)
    assert values(place.mailboxes["a"]) == WANTED[:1], "accepted, not marked, and not sent again"
    store.close()


async def test_a_mark_that_was_owed_is_made_before_anything_else(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    del place.mailboxes["b"], place.channels["b"]
    store = FullDisk(place.path)
    place.read(place.desk(store))
    store.full = True
    delivering = asyncio.create_task(place.deliver(store))
    while not place.mailboxes["a"].taken:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    store.full = False
    await asyncio.wait_for(delivering, 5)
    assert values(place.mailboxes["a"]) == WANTED
    store.close()


def test_one_process_at_a_time_has_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "alerts.sqlite")
    with pytest.raises(FatalError, match="one process"):
        Store(tmp_path / "alerts.sqlite")
    store.close()
    Store(tmp_path / "alerts.sqlite").close()


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "damaged.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match=r"BUS_DATA_DIR: .*damaged\.sqlite is damaged"):
        Store(tmp_path / "damaged.sqlite")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        Store(tmp_path / "damaged.sqlite" / "alerts.sqlite")


async def test_a_rule_that_became_another_begins_again_and_its_old_episodes_are_over(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
    place.mailboxes["a"].taken.clear()
    place.rules = [rule(tmp_path, '{ kind = "threshold", above = 8 }', 'recipients = ["a"]')]
    with place.process() as (desk, store):
        assert store.open_episodes() == 0
        place.read(desk)
        await place.deliver(store)
    assert values(place.mailboxes["a"]) == [("begun", "9")]


async def test_words_alone_make_no_other_rule(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
    place.rules = [rule(tmp_path, '{ kind = "threshold", above = 2, steps = [5] }', 'recipients = ["b"]', text="lain {value}")]
    with place.process() as (desk, store):
        place.read(desk)
        assert store.open_episodes() == 1
        assert not store.waiting()


async def test_another_log_says_nothing_of_the_old_episodes(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    with place.process() as (desk, store):
        place.read(desk)
        desk.reset()
        assert (store.open_episodes(), store.waiting()) == (0, {"a": 5, "b": 5}), "what was over is still told, what went on is not"
        place.rows[about.topic] = [(NOON + HOUR, row(about, "7", "N", "x"))]
        place.read(desk)
        await place.deliver(store)
    assert values(place.mailboxes["a"])[-1] == ("begun", "7")


async def test_old_episodes_are_dropped_once_nothing_of_them_waits(tmp_path: Path, about: Rule) -> None:
    place = world(tmp_path, about)
    with place.process() as (desk, store):
        place.read(desk)
        store.prune(NOON + DAY)
        assert len(store.states()) == 2 * len(WANTED)
        await place.deliver(store)
        store.prune(NOON + DAY)
        assert [kind for _, kind, _, _ in store.states()] == ["begun", "begun"]
        assert store.open_episodes() == 1


async def test_what_only_insiders_may_see_goes_to_internal_channels_alone(tmp_path: Path) -> None:
    hidden = rule(tmp_path, '{ kind = "threshold", above = 2 }', 'recipients = ["a", "b"]', 'level = "desa"', of="dinkes.stunting_month")
    assert hidden.internal or hidden.subject.min_cell, "an indicator that is not for everybody"
    place = world(tmp_path, rule(tmp_path, '{ kind = "threshold", above = 2 }'))
    place.rules = [hidden]
    place.channels = {"a": Channel("a", internal=True), "b": Channel("b")}
    dims = [f"d{n}" if name != "region" else "33.09.01.2001" for n, name in enumerate(hidden.subject.dims)]
    place.rows = {hidden.topic: [(NOON, row(hidden, "3", *dims, n=3))]}
    with place.process() as (desk, store):
        place.read(desk)
        await place.deliver(store)
        assert store.episodes(0, 10) == []
    assert len(place.mailboxes["a"].taken) == 1
    assert place.mailboxes["b"].taken == []
