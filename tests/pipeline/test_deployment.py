"""Definitions against what a pipeline has published, and following new ones until readers have them (over the log in memory)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.errors import BusError, ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.definitions import Entry, Standing, compare, published
from bus.ops.deployment import Target, refuse, targets, topics_of, until_published
from bus.ops.idle import Progress
from bus.ops.installation import Installation
from bus.ops.staging import attempt, install, place
from bus.ops.values import read_values
from bus.ops.wiring import Log
from bus.settings import Settings
from bus.testing.faults import Cluster
from tests.pipeline.histories import OVERLAY, TYPES, publish, seeded

_MEAN = "lab.sample_mean"


class Site:
    """A pipeline over its own copy of the overlay, whose files change."""

    def __init__(self, base: Path) -> None:
        self.overlay = base / "overlay"
        shutil.copytree(OVERLAY, self.overlay)
        self.drafts = base / "drafts"
        self.drafts.mkdir()
        self.folder = self.overlay / "schemas" / "indicators"
        environ = {"BUS_OVERLAY": str(self.overlay), "BUS_KAFKA__EVENT_PARTITIONS": "2", "BUS_KAFKA__PARTIALS_PARTITIONS": "2"}
        self.settings = Settings.from_env(environ)
        self.catalogue = Catalogue.load(self.settings.schemas_roots())
        self.cluster = Cluster(self.catalogue, self.wanted(), event_types=TYPES)

    @property
    def log(self) -> Log:
        log = self.cluster.log

        async def topics() -> list[str]:
            return list(log.topics)

        return Log(log, log, KafkaSnapshotStore(log, log), topics)

    @property
    def installation(self) -> Installation:
        """What the files say; only what this pipeline computes."""
        loaded = Installation.load(self.settings)
        mine = {name: each for name, each in loaded.indicators.items() if name.startswith("lab.")}
        return Installation(loaded.settings, loaded.catalogue, loaded.codec, mine, loaded.agencies, loaded.consumers)

    def wanted(self):
        return {name: each for name, each in attempt(self.settings, self.catalogue).indicators.items() if name.startswith("lab.")}

    async def runs(self, seed: int = 4) -> None:
        publish(self.cluster.log, self.installation.codec, seeded(seed), 2)
        await self.cluster.drain()

    def change(self, name: str, change: Callable[[str], str], *, draft: bool = False) -> Path:
        path = (self.drafts if draft else self.folder) / f"{name}.toml"
        path.write_text(change((self.folder / f"{name}.toml").read_text()))
        return path

    async def entries(self, *files: Path) -> dict[str, Entry]:
        placements = place(self.settings, files)
        tried = attempt(self.settings, self.catalogue, placements)
        log = self.log
        known = await published(log.reader, log.snapshots, Codec(self.catalogue), await log.topics())
        before = attempt(self.settings, self.catalogue).indicators if files else {}
        return {entry.indicator: entry for entry in compare(tried, known, before) if entry.indicator.startswith("lab.")}


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    await made.runs()
    return made


def version(number: int, **changes: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        text = re.sub(r"^version = .*\n", "", text, flags=re.MULTILINE)
        for name, value in changes.items():
            text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        return text.replace("title =", f"version = {number}\ntitle =", 1)

    return change


async def test_nothing_differs_where_the_files_are_what_is_published(site: Site) -> None:
    entries = await site.entries()
    assert {entry.standing for entry in entries.values()} == {Standing.UNCHANGED}
    assert {name: entry.shown for name, entry in entries.items()} == {name: each.version for name, each in site.wanted().items()}


async def test_what_differs_is_named(site: Site) -> None:
    site.change(_MEAN, version(2, window='"1d"', late='"5d"'))
    site.change("lab.sample_max", version(3, measure='{ kind = "max", of = "amount + 1" }'))
    (site.folder / "lab.reading_min.toml").unlink()
    (site.folder / "lab.new.toml").write_text((site.folder / "lab.sample_count.toml").read_text().replace("lab.sample_count", "lab.new"))
    entries = await site.entries()
    mean, largest = entries[_MEAN], entries["lab.sample_max"]
    assert (mean.standing, mean.old, mean.new, mean.parts) == (
        Standing.CHANGED, 1, 2, ("late_seconds: 172800 -> 432000", "window: 1mo -> 1d"),
    )  # fmt: skip
    assert (largest.standing, largest.old, largest.new) == (Standing.CHANGED, 2, 3)
    assert largest.parts == ("expressions (event, where, by, measure) or tables",)
    assert entries["lab.reading_min"].standing is Standing.GONE
    assert entries["lab.new"].standing is Standing.NEW
    assert entries["lab.sample_count"].standing is Standing.UNCHANGED


async def test_a_draft_is_compared_with_the_file_that_is_published(site: Site) -> None:
    draft = site.change("lab.sample_max", version(3, measure='{ kind = "max", of = "amount + 1" }'), draft=True)
    (part,) = (await site.entries(draft))["lab.sample_max"].parts
    assert part.startswith("measure: ")
    assert "'of': 'amount'" in part
    assert "'of': 'amount + 1'" in part


async def test_what_a_worker_would_refuse_is_refused_with_its_reason(site: Site) -> None:
    site.change(_MEAN, version(1, window='"1d"'))
    site.change("lab.sample_max", lambda text: text.replace("amount", "amont"))
    site.change("lab.sample_count", lambda text: "nonsense")
    entries = await site.entries()
    refused = {name: [problem.rule for problem in entry.problems] for name, entry in entries.items() if entry.problems}
    assert refused == {_MEAN: ["I07"], "lab.sample_max": ["I01"], "lab.sample_count": [""]}
    assert all(entries[name].standing is Standing.REFUSED for name in refused)
    assert str(site.folder / "lab.sample_max.toml") in entries["lab.sample_max"].problems[0].where
    assert "simpul-indicators" not in str(entries)


async def test_a_new_version_is_followed_until_readers_have_all_of_it(site: Site) -> None:
    draft = site.change(_MEAN, version(2, window='"1d"'), draft=True)
    placements = place(site.settings, [draft])
    tried = attempt(site.settings, site.catalogue, placements)
    entries = list((await site.entries(draft)).values())
    refuse(tried, entries, placements)
    wanted = targets(entries, tried, [_MEAN])
    assert wanted == [Target(_MEAN, 2)]
    assert install(placements) == [site.folder / f"{_MEAN}.toml"]
    assert install(placements) == []
    rounds = iter(range(100))

    async def bus_works(_seconds: float) -> None:
        number = next(rounds)
        if number == 1:
            await site.cluster.take(site.wanted())
        elif number == 2:
            await site.cluster.side_work()
        elif number >= 3:
            await site.cluster.drain()

    seen: list[Progress] = []
    rows = await until_published(site.installation, site.log, wanted, report=seen.append, sleep=bus_works)
    values = await read_values(site.cluster.log, site.installation.codec, _MEAN)
    assert {value.version for value in values} == {2}
    assert rows == sum(value.n > 0 for value in values)
    assert seen[0].fold.done < seen[0].fold.total
    assert (await site.entries())[_MEAN].standing is Standing.UNCHANGED


async def test_events_that_come_meanwhile_are_not_waited_for(site: Site) -> None:
    codec = site.installation.codec
    await site.cluster.drain()

    async def never(_seconds: float) -> None:
        raise AssertionError("everything was there when the wait began")

    def more(_progress: Progress) -> None:
        publish(site.cluster.log, codec, seeded(7), 2)

    assert await until_published(site.installation, site.log, [Target(_MEAN, 1)], report=more, sleep=never)


async def test_a_bus_that_does_not_take_it_up_is_said(site: Site) -> None:
    site.change(_MEAN, version(2, window='"1d"'))
    now = [0.0]

    class Clock:
        def monotonic(self) -> float:
            return now[0]

        def now(self) -> object:
            raise AssertionError

    async def sleep(_seconds: float) -> None:
        now[0] += 50

    with pytest.raises(BusError, match="Is a bus running that reads these files"):
        await until_published(
            site.installation, site.log, [Target(_MEAN, 2)], report=lambda _: None, sleep=sleep, clock=Clock(),  # type: ignore[arg-type]
        )  # fmt: skip


async def test_one_wrong_file_holds_all_back(site: Site) -> None:
    draft = site.change(_MEAN, version(2, window='"1d"'), draft=True)
    site.change("lab.sample_count", lambda text: "nonsense")
    placements = place(site.settings, [draft])
    tried = attempt(site.settings, site.catalogue, placements)
    with pytest.raises(ConfigurationError, match=r"lab\.sample_count\.toml"):
        refuse(tried, list((await site.entries(draft)).values()), placements)


async def test_a_given_file_whose_example_does_not_hold_is_refused(site: Site) -> None:
    example = (
        '\n[[examples]]\nevents = [{ subject = "a", occurred_at = 2026-03-01T00:00:00, data = { place = "x", amount = 1 } }]\nrows = []\n'
    )
    draft = site.change(_MEAN, lambda text: version(2)(text) + example, draft=True)
    placements = place(site.settings, [draft])
    tried = attempt(site.settings, site.catalogue, placements)
    with pytest.raises(ConfigurationError, match="example 1: expected"):
        refuse(tried, [], placements)


def test_a_file_goes_where_its_indicator_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    known, new = site.drafts / f"{_MEAN}.toml", site.drafts / "lab.new.toml"
    for path in (known, new):
        path.write_text("")
    assert [each.target for each in place(site.settings, [known, new])] == [site.folder / known.name, site.folder / new.name]
    with pytest.raises(ConfigurationError) as caught:
        place(site.settings, [known, known, site.drafts, site.drafts / "none.toml"])
    assert [problem.what.split(":")[0] for problem in caught.value.problems] == [
        "is not the file of an indicator", "there is no such file", "is given more than once",
    ]  # fmt: skip


def test_the_topics_of_an_indicator_are_its_values_and_its_history(tmp_path: Path) -> None:
    site = Site(tmp_path)
    tried = attempt(site.settings, site.catalogue)
    names = [topic.name for topic in topics_of(site.settings, tried, [_MEAN])]
    assert names == ["bus.audit", f"history.{_MEAN}", f"indicators.{_MEAN}"]
