"""The walidata gate: what passes is published, what fails is returned with a note, and every step stands in the change log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bus.clock import SystemClock
from bus.errors import ConfigurationError
from bus.settings import ROOT, PpidSettings, Settings
from bus.testing.memory import MemoryLog
from consumers.ppid.checks import data_findings, metadata_findings
from consumers.ppid.database import Database
from consumers.ppid.gate import AUTOMATIC, Standing, judge, steps
from consumers.ppid.library import Library
from consumers.ppid.metadata import Directory, read_directory
from consumers.ppid.store import Store
from tests.unit.ppid.feed import CATALOGUE, PM10, follower_of, public, released

DIRECTORY: Directory = read_directory([ROOT / "schemas"], [ROOT / "connectors"], CATALOGUE)
METADATA = DIRECTORY.datasets[PM10]


def library_on(database: Database, *, auto: bool) -> Library:
    library = Library(Settings(ppid=PpidSettings(auto_publish=auto)), database, SystemClock(), CATALOGUE)
    library.refresh()
    return library


def history(library: Library) -> list[tuple[str, str, str]]:
    return [(change.was, change.became, change.who) for change in reversed(library.gate.changes())]


@pytest.fixture
async def filled(log: MemoryLog, database: Database) -> Database:
    await log.send([public("60", at=released(1))])
    await follower_of(log, database).round(log)
    return database


async def test_what_passes_all_checks_is_published_and_the_public_can_read_why(filled: Database) -> None:
    library = library_on(filled, auto=True)
    library.examine()
    library.examine()
    assert history(library) == [("", "draft", AUTOMATIC), ("draft", "checked", AUTOMATIC), ("checked", "published", AUTOMATIC)]
    (card,) = library.cards()
    assert (card.id, card.rows, card.vintage) == (PM10, 1, "20260228T170000Z")


async def test_without_automatic_publication_a_person_decides(filled: Database) -> None:
    library = library_on(filled, auto=False)
    library.examine()
    assert library.cards() == []
    assert library.volume(PM10) is None
    library.gate.publish(library.judgement(PM10), who="Dinas Kominfo", note="sesuai", now_us=5)
    assert [card.id for card in library.cards()] == [PM10]
    assert history(library)[-1] == ("checked", "published", "Dinas Kominfo")


async def test_what_a_person_returned_only_a_person_publishes(filled: Database) -> None:
    library = library_on(filled, auto=True)
    library.examine()
    library.gate.give_back(PM10, who="Dinas Kominfo", note="definisi belum memuat satuan", now_us=5)
    assert library.cards() == []
    library.examine()
    changed = METADATA.model_copy(update={"satu_data": {**METADATA.satu_data, "definisi": "Definisi yang sudah diperbaiki."}})
    library.gate.examine(judge(changed, []), auto=True, now_us=6)
    assert library.gate.standings()[PM10].state == "checked"
    assert library.cards() == []
    library.gate.publish(judge(changed, []), who="Dinas Kominfo", note="", now_us=7)
    assert library.cards()[0].metadata.satu_data["definisi"] == "Definisi yang sudah diperbaiki."


async def test_a_return_needs_a_note_and_the_note_no_nik(filled: Database) -> None:
    gate = library_on(filled, auto=True).gate
    with pytest.raises(ConfigurationError, match="--note"):
        gate.give_back(PM10, who="x", note=" ", now_us=1)
    with pytest.raises(ConfigurationError, match="NIK"):
        gate.give_back(PM10, who="x", note="lihat 3309121502850001", now_us=1)
    with pytest.raises(ConfigurationError, match="bus ppid list"):
        gate.give_back("dlh.none", who="x", note="n", now_us=1)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"licence": ""}, "lisensi"),
        ({"licence": "Milik sendiri"}, "lisensi"),
        ({"satu_data": {}}, "MS-Ind"),
        ({"satu_data": {**METADATA.satu_data, "rumus": " - "}}, "satu_data.rumus"),
        ({"satu_data": {**METADATA.satu_data, "satuan": "persen"}}, "satuan tidak sama"),
        ({"title": {"id": "x", "en": ""}}, "judul (en)"),
        ({"publish_class": "dikecualikan"}, "pasal 17"),
    ],
)
def test_incomplete_metadata_are_found(change: dict[str, Any], finding: str) -> None:
    assert metadata_findings(METADATA) == []
    (found,) = metadata_findings(METADATA.model_copy(update=change))
    assert finding in found


async def test_rows_with_unknown_regions_or_identifiers_take_the_dataset_down(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(1), dimensions={"region": "33.09.01"})])
    follower = follower_of(log, database)
    await follower.round(log)
    library = library_on(database, auto=True)
    library.examine()
    assert len(library.cards()) == 1
    await log.send([public("7", at=released(8), dimensions={"region": "33.99.01"})])
    await follower.round(log)
    library.examine([PM10])
    assert library.cards() == []
    assert "33.99.01" in library.gate.changes()[0].note
    await log.send([public("7", at=released(9), dimensions={"region": "33.09.01.2001.001.002"}), *_mended()])
    await follower.round(log)
    library.examine([PM10])
    assert len(library.cards()) == 1


def _mended() -> list[Any]:
    wrong = public("7", at=released(9), dimensions={"region": "33.99.01"})
    return [type(wrong)(wrong.topic, 0, wrong.key, None)]


async def test_a_number_like_a_nik_in_a_row_is_found(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(1), dimensions={"station": "3309121502850001"})])
    await follower_of(log, database).round(log)
    table = Store(database).as_of(PM10)
    assert table is not None
    assert data_findings(table.rows, DIRECTORY) == ["1 baris memuat nomor yang tersusun seperti NIK"]


def test_failing_metadata_leave_the_approved_ones_standing_an_excluded_class_does_not() -> None:
    published = Standing(PM10, "published", evidence="old", approved=METADATA)
    (after,) = steps(published, judge(METADATA.model_copy(update={"licence": ""}), []), auto=True)
    assert (after.state, after.approved) == ("returned", METADATA)
    (after,) = steps(published, judge(METADATA.model_copy(update={"publish_class": "dikecualikan"}), []), auto=True)
    assert after.approved is None
    (after,) = steps(published, judge(METADATA, ["kode wilayah"]), auto=True)
    assert after.approved is None


async def test_a_class_that_became_excluded_hides_the_dataset_at_once(filled: Database, tmp_path: Path) -> None:
    library = library_on(filled, auto=True)
    library.examine()
    hidden = METADATA.model_copy(update={"publish_class": "dikecualikan"})
    library.directory = library.directory.model_copy(update={"datasets": {PM10: hidden}})
    assert library.cards() == []
    assert library.volume(PM10) is None
    assert library.followed([f"public.{PM10}", "public.unknown"], "public.") == []
