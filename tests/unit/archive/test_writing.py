"""Writing to the archive, with a crash between any two of its effects: a file is there whole or not at all, and its successor goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.kafka.archive import Archive, Disk
from bus.testing.gate import Killed
from tests.unit.archive.logs import PLACE, TOPIC, everything, records


class Dying(Disk):
    """Is killed at its n-th effect: before it, or halfway where an effect has a middle."""

    def __init__(self, at: int, *, halfway: bool) -> None:
        self.at, self.halfway, self.effects = at, halfway, 0

    def _gate(self) -> bool:
        """Whether to die halfway through."""
        self.effects += 1
        if self.effects - 1 != self.at:
            return False
        if not self.halfway:
            raise Killed
        return True

    def make_folder(self, folder: Path) -> None:
        dies = self._gate()
        super().make_folder(folder)
        if dies:
            raise Killed

    def write(self, path: Path, content: bytes) -> None:
        dies = self._gate()
        super().write(path, content[: len(content) // 2] if dies else content)
        if dies:
            raise Killed

    def rename(self, path: Path, to: Path) -> None:
        dies = self._gate()
        super().rename(path, to)
        if dies:
            raise Killed

    def sync_folder(self, folder: Path) -> None:
        dies = self._gate()
        super().sync_folder(folder)
        if dies:
            raise Killed


@pytest.mark.parametrize("halfway", [False, True])
def test_a_crash_between_any_two_effects_leaves_a_whole_file_or_none(tmp_path: Path, halfway: bool) -> None:
    log = records(40)
    at, died = 0, True
    while died:
        root = tmp_path / str(at)
        disk = Dying(at, halfway=halfway)
        died = False
        writer = Archive(root, disk)
        root.mkdir()
        try:
            for first in (0, 10, 20):
                writer.write(log[first : first + 10])
        except Killed:
            died = True
        successor = Archive(root)
        successor.sweep(TOPIC)
        end = successor.holding(PLACE).end
        assert end % 10 == 0
        assert everything(successor) == log[:end]
        if end < 40:
            successor.write(log[end:])
        assert everything(Archive(root)) == log
        assert list(root.rglob("*.part")) == []
        at += 1
    assert at > 10


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, path: Path, content: bytes) -> None:
            super().write(path, content[:10])
            raise OSError(28, "No space left on device")

    log = records(10)
    with pytest.raises(OSError, match="No space"):
        Archive(tmp_path, Full()).write(log)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    Archive(tmp_path).write(log)
    assert everything(Archive(tmp_path)) == log


def test_a_lost_acknowledgement_of_the_folder_does_no_harm(tmp_path: Path) -> None:
    class Shaky(Disk):
        failures = 1

        def sync_folder(self, folder: Path) -> None:
            if folder.name.startswith("day=") and self.failures:
                self.failures -= 1
                raise OSError(5, "Input/output error")
            super().sync_folder(folder)

    log = records(10)
    writer = Archive(tmp_path, Shaky())
    with pytest.raises(OSError, match="Input/output"):
        writer.write(log)
    writer.write(log)
    assert everything(writer) == everything(Archive(tmp_path)) == log
