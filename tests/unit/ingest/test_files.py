"""Which files are ours and whole, and what their bytes say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bus.ingest.files import FolderAway, Seen, Settling, examine, opened, scan
from bus.ingest.source import FileRefused


def seen(path: Path) -> Seen:
    info = path.stat()
    return Seen(path, info.st_size, info.st_mtime_ns)


def test_files_come_by_time_then_name(tmp_path: Path) -> None:
    for name, moment in (("b.csv", 5), ("a.CSV", 5), ("z.csv", 1), ("d.txt", 1), (".e.csv", 1), ("~$f.csv", 1), ("g.csv.part", 1)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(moment, moment))
    assert [found.name for found in scan(tmp_path, ["*.csv"])] == ["z.csv", "a.CSV", "b.csv"]


def test_a_folder_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(FolderAway):
        scan(tmp_path / "none", ["*.csv"])


def test_a_file_settles_when_it_stands_still(tmp_path: Path) -> None:
    settling = Settling(2.0)
    at = 1_000_000_000_000
    young, grown, old = Seen(tmp_path / "a", 5, at), Seen(tmp_path / "a", 6, at + 1), Seen(tmp_path / "old", 5, at - 10_000_000_000)
    assert settling.settled([young, old], monotonic=0, now_ns=at) == [old]
    assert settling.settled([grown], monotonic=1.9, now_ns=at) == []
    assert settling.settled([grown], monotonic=3.8, now_ns=at) == []
    assert settling.settled([grown], monotonic=3.9, now_ns=at) == [grown]


def test_a_time_in_the_future_does_not_keep_a_file_out(tmp_path: Path) -> None:
    settling = Settling(2.0)
    ahead = Seen(tmp_path / "a", 5, 10**18)
    assert settling.settled([ahead], monotonic=0, now_ns=0) == []
    assert settling.settled([ahead], monotonic=2, now_ns=0) == [ahead]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("é".encode(), "utf-8-sig"),
        (b"abc" + "é".encode()[:1], "utf-8-sig"),
        (b"\xe9 and more", "cp1252"),
        (b"\xe9 and \x81", "latin-1"),
        (b"x" * (1 << 20) + b"\xe9 ", "cp1252"),
        (b"x" * ((1 << 20) - 1) + "é".encode(), "utf-8-sig"),
    ],
)
def test_the_encoding_is_decided_on_the_whole_file(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    facts = examine(seen(path))
    assert (facts.encoding, facts.sha256, facts.problem) == (encoding, hashlib.sha256(content).hexdigest(), None)


def test_what_is_no_csv(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (found,) = scan(tmp_path, ["*.csv"])
    problem = examine(found).problem
    assert problem is not None
    assert problem.rule == "not_a_file"


def test_an_examined_file_must_stay_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n")
    facts = examine(seen(path))
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    with pytest.raises(FileRefused, match="file_changed"), opened(facts):
        pass
    path.unlink()
    with pytest.raises(FileRefused, match="file_vanished"), opened(facts):
        pass
