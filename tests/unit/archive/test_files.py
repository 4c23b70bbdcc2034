"""Files of the archive: what is read is what was written, to the last bit, and whatever is wrong with a file is said with its name."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError, OffsetGap, TransientError
from bus.kafka import archive_file
from bus.kafka.archive import Archive
from bus.kafka.archive_file import ArchiveFile
from bus.kafka.ports import Record, TopicPartition
from tests.unit.archive.logs import DAY_MS, NOON, PLACE, TOPIC, TYPE, cut_up, everything, logs, records


@given(log=logs(), ends=st.lists(st.integers(1, 30), max_size=6), bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_whatever_the_batches_the_files_are_the_log(
    tmp_path_factory: pytest.TempPathFactory, log: list[Record], ends: list[int], bounds: tuple[int, int]
) -> None:
    root = tmp_path_factory.mktemp("archive")
    writer = Archive(root)
    for piece in cut_up(log, ends):
        writer.write(piece)
    for archive in (writer, Archive(root)):
        assert everything(archive) == log
        assert archive.holding(PLACE).end == len(log)
        start, stop = min(*bounds, len(log)), min(max(bounds), len(log))
        assert everything(archive, PLACE, start, stop) == log[start:stop]


@given(log=logs(), ranges=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=6))
def test_files_that_overlap_are_read_once_and_a_hole_is_named(
    tmp_path_factory: pytest.TempPathFactory, log: list[Record], ranges: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("archive")
    for start, count in ranges:
        if log[start : start + count]:
            Archive(root).write(log[start : start + count])
    covered = {offset for start, count in ranges for offset in range(start, min(start + count, len(log)))}
    end = next(offset for offset in range(len(log) + 1) if offset not in covered)
    archive = Archive(root)
    assert archive.holding(PLACE).end == end
    assert archive.holding(PLACE).resumes == min((offset for offset in covered if offset > end), default=None)
    assert everything(archive) == log[:end]
    with pytest.raises(OffsetGap, match=f"no file holds offsets {end} to"):
        everything(archive, PLACE, 0, end + 1)


def test_a_long_file_is_read_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_file, "GROUP_ROWS", 10)
    log = records(95)
    Archive(tmp_path).write(log)
    assert [len(some) for some in Archive(tmp_path).read(PLACE, 7, 42)] == [3, 10, 10, 10, 2]
    assert everything(Archive(tmp_path)) == log


def test_a_name_says_type_day_and_offsets(tmp_path: Path) -> None:
    late = NOON + 11 * 3_600_000  # 23:00 in Jakarta
    path = Archive(tmp_path).write(records(3, at=late))
    assert path.parent == tmp_path / TYPE / "day=2026-11-28"
    held = ArchiveFile.of(path)
    assert held is not None
    assert (held.partition, held.first, held.last, held.records, str(held.day)) == (0, 0, 2, 3, "2026-11-28")
    assert Archive(tmp_path).write(records(1, 3, at=late + DAY_MS)).parent.name == "day=2026-11-29"
    assert path.stat().st_mode & 0o027 == 0
    assert ArchiveFile.of(tmp_path / "p0-1-2-x.parquet") is None


def test_a_hole_in_the_topic_is_never_archived(tmp_path: Path) -> None:
    log = records(9)
    with pytest.raises(FatalError, match="offset 5 follows 3: is the topic compacted"):
        Archive(tmp_path).write([each for each in log if each.offset != 4])
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("where", [4, 100, -20])
def test_a_flipped_bit_is_found_and_the_file_named(tmp_path: Path, where: int) -> None:
    path = Archive(tmp_path).write(records(50, size=200))
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(FatalError, match=rf"{path.name}.*is damaged.*its SHA-256 is"):
        everything(Archive(tmp_path))


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    path = Archive(tmp_path).write(records(50, size=200))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FatalError, match=path.name):
        everything(Archive(tmp_path))


def test_damage_after_the_check_is_found_by_the_pages_own_sums(tmp_path: Path) -> None:
    path = Archive(tmp_path).write(records(50, size=200))
    archive = Archive(tmp_path)
    (held,) = archive.holding(PLACE).files
    content = bytearray(path.read_bytes())
    content[700] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FatalError, match=rf"{path.name}.*is damaged"):
        list(archive_file.read(held, PLACE, 0, 50))


def test_a_file_that_is_gone_is_a_hole(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    _, path, _ = (archive.write(records(10, first)) for first in (0, 10, 20))
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(OffsetGap, match=f"no file holds offsets 10 to 19 of {TOPIC}/0"):
        everything(archive, PLACE, 0, 30)
    assert Archive(tmp_path).holding(PLACE).end == 10
    (tmp_path / "elsewhere").rename(path)
    assert everything(archive, PLACE, 0, 30) == records(30)


def test_a_file_under_another_type_or_number_is_found(tmp_path: Path) -> None:
    path = Archive(tmp_path).write(records(10))
    other = tmp_path / "test.other.thing.v1" / "day=2026-11-28"
    other.mkdir(parents=True)
    (other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(FatalError, match=f"holds records of {TOPIC}/0, and lies where those of events.test.other.thing.v1/0 belong"):
        everything(Archive(tmp_path), TopicPartition("events.test.other.thing.v1", 0))
    path.rename(path.with_name(path.name.replace("p0-", "p1-")))
    with pytest.raises(FatalError, match="is damaged"):
        everything(Archive(tmp_path), TopicPartition(TOPIC, 1))
    moved = next(other.parent.parent.glob(f"{TYPE}/*/p1-*"))
    moved.rename(moved.with_name(moved.name.replace("p1-", "p0-").replace("00009-", "00019-")))
    with pytest.raises(FatalError, match="holds 10 records, its name says 20"):
        everything(Archive(tmp_path), PLACE)


def test_a_disk_that_does_not_answer_is_not_damage(tmp_path: Path) -> None:
    path = Archive(tmp_path).write(records(10))
    archive = Archive(tmp_path)
    (held,) = archive.holding(PLACE).files
    path.unlink()
    with pytest.raises(TransientError, match=path.name):
        archive.check(held)


def test_any_reader_of_parquet_sees_day_and_records(tmp_path: Path) -> None:
    Archive(tmp_path).write(records(10))
    Archive(tmp_path).write(records(5, 10, at=NOON + DAY_MS))
    table = pq.read_table(tmp_path / TYPE)
    assert table.num_rows == 15
    assert {"_offset", "_time", "_key", "_value", "_headers", "day"} <= set(table.column_names)
    assert sorted({str(day) for day in table["day"].to_pylist()}) == ["2026-11-28", "2026-11-29"]
