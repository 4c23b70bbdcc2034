"""Which sources of an agency read, and from where: an input for one of them is not an input for the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.ingest.files import Seen
from bus.ingest.folder import LocalFolder
from bus.ingest.manifest import discover
from bus.ingest.runner import Runner
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.settings import ROOT, Settings
from bus.testing.memory import MemoryLog
from tests.pipeline.ingest_world import ONE_EVENT, World, lab_agency, row

_SECOND = '[sources.repeats]\nkind = "append"\nkey = ["no"]\nsetting = "{setting}"\n[sources.repeats.header]\nno = ["no"]\nvalue = []\n'


def _runner(base: Path, folders: dict[str, Path], *, setting: str = "folder", **environ: str) -> Runner:
    """A runner of an agency with the sources samples and repeats, whose folder is the same setting unless said otherwise."""
    connectors, schemas = lab_agency(base, mapping=ONE_EVENT)
    manifest = connectors / "lab" / "agency.toml"
    text = manifest.read_text().replace('settings = ["folder"]', f"settings = {sorted({'folder', setting})}".replace("'", '"'))
    manifest.write_text(text + _SECOND.format(setting=setting))
    log = MemoryLog()
    settings = Settings.from_env({"BUS_DATA_DIR": str(base / "data"), **environ})
    return Runner(
        discover([connectors])["lab"], publisher=log, reader=log, snapshots=KafkaSnapshotStore(log, log),
        codec=Codec(Catalogue.load([ROOT / "schemas", schemas])), settings=settings, folders=folders,
    )  # fmt: skip


@pytest.mark.parametrize("setting", ["folder", "other"])
def test_a_source_without_a_folder_rests_and_that_is_said(tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("bus.ingest.runner._log", log)
    runner = _runner(tmp_path, {"lab/samples": tmp_path}, setting=setting)
    assert [progress.source for progress in runner.status()] == ["lab/samples"]
    (said,) = [call for call in log.calls if call.args == ("a source rests",)]
    assert said.method_name == "info"
    assert "source repeats has no folder: give --input lab/repeats=FOLDER" in said.kwargs["reason"]


def test_an_agency_s_folder_is_that_of_all_its_sources(tmp_path: Path) -> None:
    assert [progress.source for progress in _runner(tmp_path, {"lab": tmp_path}).status()] == ["lab/samples", "lab/repeats"]


def test_no_folder_at_all_is_refused_with_all_that_may_be_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _runner(tmp_path, {"other/samples": tmp_path})
    assert len(caught.value.problems) == 2
    assert "BUS_LAB__FOLDER" in str(caught.value)


async def test_a_folder_of_years_is_listed_once_for_each_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, once = 0, LocalFolder.list

    async def counted(self: LocalFolder, patterns: Sequence[str]) -> list[Seen]:
        nonlocal lists
        lists += 1
        return await once(self, patterns)

    monkeypatch.setattr(LocalFolder, "list", counted)
    world = World(tmp_path)
    for number in range(1, 11):
        world.put(f"{number}.csv", row(number))
    await world.run()
    assert len(world.envelopes()) == 10
    assert lists == 11  # the last finds that there is no more
