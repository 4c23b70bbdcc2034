"""The release stage over the log in memory: it says the same after a crash at any effect, beside another of its kind, and after late writes."""

from __future__ import annotations

from collections.abc import Sequence

from bus.disclosure.group import Group
from bus.disclosure.releases import Lane, Plain, Releases
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.outputs import Output
from bus.kafka.ports import Message
from bus.kafka.topics import RELEASES
from bus.settings import ROOT
from bus.streams.outputs import encode_output
from bus.streams.releasing import ReleaseStage, ReleaseView
from bus.testing.memory import MemoryLog
from tests.unit.disclosure.world import DAY, START, World, place, table

CODEC = Codec(Catalogue.load([ROOT / "schemas"]))
TABLES = [table("mcd.region", region=True), table("mcd.share", region=True, per=100)]
PLAIN, LIVE = table("dlh.daily", window="1d"), table("dlh.live", window="now")
NAMES = [*(each.id for each in TABLES), PLAIN.id, LIVE.id]


class Crash(Exception):
    """The process is gone."""


def _releases() -> Releases:
    persons = Lane("persons", tuple(each.id for each in TABLES), "1d", Group(TABLES), "f")
    return Releases([persons, Lane("plain", (PLAIN.id,), "1d", Plain()), Lane("live", (LIVE.id,), "now", Plain())])


class Site:
    """Histories that grow, and stages over them."""

    def __init__(self) -> None:
        prefixes = {f"{prefix}{name}": 1 for prefix in ("history.", "public.") for name in NAMES}
        self.log = MemoryLog({**prefixes, RELEASES: 1}, compacted=[name for name in prefixes if name.startswith("public.")])
        self.world = World([*TABLES, PLAIN, LIVE])
        self._said: dict[tuple[str, bytes], Output] = {}

    def stage(self) -> ReleaseStage:
        return ReleaseStage(_releases(), self.log, self.log, CODEC)

    def view(self) -> ReleaseView:
        return ReleaseView(_releases(), self.log, CODEC)

    def say(self, at_us: int, added: Sequence[tuple[str, int, int]]) -> None:
        """So many persons more, and what merge makes of it at that time of the log."""
        for code, persons, having in added:
            self.world.add(place(code), persons, having)
        for output in self.world.outputs():
            place_of = output.indicator, output.key()
            known = self._said.get(place_of)
            if known is None or known.revision != output.revision:
                output.watermarks["s"] = at_us  # type: ignore[index]
                self._said[place_of] = output
                key, value, headers = encode_output(CODEC, output)
                self.log.append(Message(f"history.{output.indicator}", 0, key, value, headers))

    def public(self) -> dict[tuple[str, bytes | None], dict[str, object]]:
        """What readers see at last."""
        return {
            (name, record.key): CODEC.decode(record.value or b"", record.headers)
            for name in NAMES
            for record in self.log.records(f"public.{name}")
        }


#: (day of the log, persons more by region and how many of them have the property)
STORY = (
    (10, [("33.09.01.2001", 40, 15), ("33.09.01.2002", 4, 1), ("33.09.02.2001", 60, 30), ("33.09.02.2002", 25, 12)]),
    (33, [("33.09.02.2001", 1, 0)]),
    (36, [("33.09.01.2001", 14, 3), ("33.09.02.2002", 2, 1)]),
    (40, [("33.09.01.2001", 30, 12), ("33.09.02.2002", 22, 4)]),
)


async def _told(site: Site, *, crash_at: int | None = None) -> int:
    """The story with a stage beside it, which crashes once at that effect and is started again; how many effects there were."""
    effects = 0

    def count(message: Message) -> None:
        nonlocal effects
        effects += 1
        if effects == crash_at:
            raise Crash

    site.log.on_effect = count
    stage: ReleaseStage | None = None
    for day, added in STORY:
        site.say(START + day * DAY, added)
        for _ in range(3):
            try:
                if stage is None:
                    stage = site.stage()
                    await stage.start()
                await stage.step()
            except Crash:
                stage = None
    return effects


async def test_a_crash_between_any_two_effects_changes_nothing() -> None:
    whole = Site()
    effects = await _told(whole)
    assert effects > 20
    for number in range(1, effects + 1):
        site = Site()
        await _told(site, crash_at=number)
        assert site.public() == whole.public(), number


async def test_what_is_out_is_what_may_be_and_nothing_else() -> None:
    site = Site()
    await _told(site)
    public = site.public()
    rows = {(name, tuple(d["value"] for d in row["dimensions"])): row for (name, _), row in public.items()}  # type: ignore[attr-defined]
    small = rows["mcd.region", ("33.09.01.2002",)]
    assert small["suppressed"]
    assert [small[name] for name in ("value", "numerator", "denominator", "n", "revision", "evidence")] == [None] * 5 + [[]]
    assert rows["mcd.region", ("33.09",)]["n"] == 198
    assert rows["dlh.live", ()]["n"] == 198, "what says nothing of persons leaves at once"
    assert [record.offset for record in site.log.records(RELEASES)] == list(range(len(site.log.records(RELEASES))))


async def test_two_stages_say_the_same_once() -> None:
    whole, site = Site(), Site()
    await _told(whole)
    stages = [site.stage(), site.stage()]
    for day, added in STORY:
        site.say(START + day * DAY, added)
        for stage in stages:
            if day == STORY[0][0]:
                await stage.start()
            await stage.step()
    assert site.public() == whole.public()
    assert len(site.log.records("public.mcd.region")) == len(whole.log.records("public.mcd.region"))


async def test_a_late_write_of_a_stopped_process_is_followed_by_ours() -> None:
    site = Site()
    await _told(site)
    wanted = site.public()
    stage = site.stage()
    await stage.start()
    old = site.log.records("public.mcd.region")[0]
    site.log.append(Message(old.topic, 0, old.key, old.value, old.headers))
    assert site.public() != wanted
    await stage.step()
    assert site.public() == wanted
    assert await stage.step() == 0


async def test_another_definition_leaves_what_was_out_as_it_is() -> None:
    site = Site()
    await _told(site)
    wanted = site.public()
    lanes = [Lane("persons", tuple(each.id for each in TABLES), "1d", Group(TABLES), "another")]
    stage = ReleaseStage(Releases(lanes), site.log, site.log, CODEC)
    await stage.start()
    site.say(START + 50 * DAY, [("33.09.01.2002", 100, 40)])
    await stage.step()
    assert {key: row for key, row in site.public().items() if key[0].startswith("mcd")} == {
        key: row for key, row in wanted.items() if key[0].startswith("mcd")
    }


async def test_a_view_knows_at_every_effect_that_not_all_is_out_and_at_the_end_that_all_is() -> None:
    whole = Site()
    begun = whole.view()
    for number in range(1, await _told(whole) + 1):
        site = Site()
        stage = site.stage()
        left = _limited(site, number)
        await stage.start()
        view = site.view()
        for day, added in STORY:
            site.say(START + day * DAY, added)
            try:
                await stage.step()
            except Crash:
                assert await site.view().waiting(), number
                assert await view.waiting(), number
                break
            assert not await view.waiting(), number
        assert not left
    assert not await begun.waiting()
    assert not await whole.view().waiting()
    whole.say(START + 50 * DAY, [("33.09.01.2001", 40, 15)])
    assert await begun.waiting()
    late = whole.log.records("public.mcd.region")[0]
    whole.log.append(Message(late.topic, 0, late.key, late.value, late.headers))
    stage = whole.stage()
    await stage.start()
    await stage.step()
    assert not await begun.waiting()


def _limited(site: Site, effects: int) -> list[int]:
    """The site's log lets so many effects through but the last; the list is empty once that was tried."""
    left = list(range(effects))

    def count(_message: Message) -> None:
        if left:
            left.pop()
        if not left:
            raise Crash

    site.log.on_effect = count
    return left
