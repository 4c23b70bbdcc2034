"""The journal of a source that cannot be read again in the same order: durable before anything is answered or sent (ADR 0014 R6, ADR 0021).

One SQLite file a source, on this machine's disk. What is received becomes, in one transaction, numbers, messages on their way to Kafka
(events in Avro, refusals sealed: never a raw identifier), the state that the next record is compared with, and the source's cursor. So a
kill at any moment leaves all of it or none, and the messages of an unreachable Kafka wait here: the journal is the spool.

A journal is a source of its own, `<agency>/<source>~<id>`: numbers rise for as long as the file lives, and another file (a new machine, a
restored backup) is another source. The facts of a subject are ordered by version, and later journals have higher ones (`epoch`).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bus.clock import Clock
from bus.errors import FatalError, TransientError
from bus.ingest.journal_layout import FORMAT, SCHEMA, WAITING, Backlog, Outgoing
from bus.ingest.rows import Key, Row
from bus.ingest.subjects import subjects_of
from bus.kafka.ports import Headers
from bus.kafka.topics import EVENTS_PREFIX

__all__ = ["FORMAT", "Backlog", "Journal", "Outgoing"]

#: Epochs are counted in steps of two minutes from here: 23 bits of them are thirty years.
_BEGINNING, _EPOCH_STEP = datetime(2024, 1, 1, tzinfo=UTC), timedelta(minutes=2)


class Journal:
    """One open journal. Not safe for two threads at once; two processes are kept apart by a lock on the file."""

    def __init__(self, path: Path, source: str, clock: Clock) -> None:
        """Open the journal of `<agency>/<source>`, or begin it. Raises `TransientError` while another process has it open, or `FatalError`."""
        self.name = source
        self.path = path
        self._clock = clock
        self._turn = threading.RLock()
        self._messages = self._bytes = 0
        self._known: dict[str, str] = {}  # what `meta` says, as far as it was asked
        self._changed: set[str] = set()  # what of it the transaction has yet to write
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    self._begin()
                elif self._meta("format") == "1":
                    self._from_first_layout()
            layout = self._meta("format")
        except sqlite3.DatabaseError as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise TransientError(f"the journal {path} is in use by another process") from error
            raise FatalError(f"{path} is no journal that can be read: {error}") from error
        if (layout, self._meta("source")) != (str(FORMAT), source):
            self._db.close()
            raise FatalError(f"{path} is a journal of another source or layout than {source} in {FORMAT}")
        self._size()

    def _begin(self) -> None:
        for statement in SCHEMA.split(";"):
            self._db.execute(statement)
        epoch = (self._clock.now() - _BEGINNING) // _EPOCH_STEP
        first = {"format": FORMAT, "source": self.name, "id": secrets.token_hex(3), "epoch": epoch}
        first |= dict.fromkeys(("number", "reading", "floor", "sent"), 0)
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", [(name, str(value)) for name, value in first.items()])

    def _from_first_layout(self) -> None:
        """In the first layout the records were not found by their subjects."""
        self._db.execute(next(statement for statement in SCHEMA.split(";") if "TABLE told" in statement))
        told = [
            (_key(subject), key)
            for key, events in self._db.execute("SELECT key, events FROM row")
            for subject in subjects_of(json.loads(events))
        ]
        self._db.executemany("INSERT INTO told VALUES (?, ?)", told)
        self._set("format", FORMAT)

    def close(self) -> None:
        """Let another process have it, once a transaction that another thread is in has ended."""
        with self._turn:
            self._db.close()

    # what it is

    @property
    def source(self) -> str:
        """The name under which its events are sequenced."""
        return f"{self.name}~{self._meta('id')}"

    @property
    def epoch(self) -> int:
        """The upper part of its versions and sequences; later journals of a source have a higher one."""
        return int(self._meta("epoch"))

    @property
    def number(self) -> int:
        """The newest record's number; 0 before any."""
        return int(self._meta("number"))

    @property
    def sent(self) -> int:
        """All up to this number is acknowledged by Kafka."""
        return int(self._meta("sent"))

    @property
    def cursor(self) -> Mapping[str, object]:
        """Where the source goes on; empty at its beginning."""
        found = json.loads(self._meta("cursor") or "{}")
        assert isinstance(found, dict)
        return found

    def times(self) -> Mapping[str, datetime]:
        """Event type -> up to when everything of it is in the journal."""
        return {name: datetime.fromisoformat(at) for name, at in json.loads(self._meta("times") or "{}").items()}

    def begin_anew(self, known: int, restamped: Callable[[Outgoing], tuple[bytes, Headers]]) -> None:
        """Become another source: for a file that was restored from a backup, whose numbers above `known` Kafka has with other content.

        Events that wait with such a number are written as `restamped` gives them.
        """
        with self.transaction():
            self._set("id", secrets.token_hex(3))
            self._set("epoch", max(self.epoch + 1, (self._clock.now() - _BEGINNING) // _EPOCH_STEP))
            self._set("floor", self.number)
            for each in self.waiting(-1):
                if each.number > known and each.topic.startswith(EVENTS_PREFIX):
                    value, headers = restamped(each)
                    self._db.execute("UPDATE outbox SET value = ?, headers = ? WHERE id = ?", (value, _headers(headers), each.id))

    # receiving: all in one transaction

    @contextmanager
    def transaction(self, *, forced: bool = True) -> Iterator[None]:
        """Everything inside is durable when it ends, or none of it; not `forced` to the disk it may also be undone by a power cut."""
        with self._turn:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if forced else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(name, self._known[name]) for name in self._changed])
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                self._known.clear()
                self._size()
                raise
            finally:
                self._changed.clear()

    def next_reading(self) -> int:
        """The number of a reading: its events can be withdrawn together."""
        return self._count("reading")

    def next_number(self) -> int:
        """The number of a record."""
        return self._count("number")

    def knows(self, id_: str) -> bool:
        """Whether a record with that id of its sender's was accepted."""
        return self._db.execute("SELECT 1 FROM seen WHERE id = ?", (id_,)).fetchone() is not None

    def remember(self, id_: str) -> None:
        """A record with that id was accepted."""
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (id_, self._now()))

    def forget_ids(self, older_than: timedelta) -> None:
        """Ids are told apart for so long."""
        self._db.execute("DELETE FROM seen WHERE at < ?", (self._now() - older_than // timedelta(microseconds=1),))

    def row(self, key: Key) -> Row | None:
        """What was last accepted under a key; doubtful where something refused may still come in."""
        found = self._db.execute("SELECT number, doubtful, events FROM row WHERE key = ?", (_key(key),)).fetchone()
        number, doubtful, events = found or (0, 0, "")
        return None if found is None else Row(number, tuple(json.loads(events)), bool(doubtful) or number <= int(self._meta("floor")))

    def all_keys(self) -> Iterable[Key]:
        """All keys, in their order."""
        return sorted(tuple(json.loads(key)) for (key,) in self._db.execute("SELECT key FROM row"))

    def set_row(self, key: Key, row: Row | None) -> None:
        """What a key stands for from now on; None when its record is gone."""
        known = self.row(key)
        before, after = (set(subjects_of(each.events)) if each else set() for each in (known, row))
        self._db.executemany("DELETE FROM told WHERE subject = ? AND key = ?", [(_key(each), _key(key)) for each in before - after])
        self._db.executemany("INSERT INTO told VALUES (?, ?)", [(_key(each), _key(key)) for each in after - before])
        if row is None:
            self._db.execute("DELETE FROM row WHERE key = ?", (_key(key),))
        else:
            values = _key(key), row.delivery, int(row.doubtful), json.dumps(row.events)
            self._db.execute("INSERT OR REPLACE INTO row VALUES (?, ?, ?, ?)", values)

    def sharing(self, row: Row) -> Mapping[Key, Row]:
        """All records that tell of a subject that this one tells of."""
        told = [self._db.execute("SELECT key FROM told WHERE subject = ?", (_key(subject),)) for subject in subjects_of(row.events)]
        found = {key: self.row(key) for found in told for key in (tuple(json.loads(text)) for (text,) in found)}
        return {key: row for key, row in found.items() if row is not None}

    def doubt_all(self) -> None:
        """Something without a readable key was refused: it may be any."""
        self._set("floor", self.number)

    def put(self, number: int, topic: str, key: str, value: bytes | None, headers: Headers = ()) -> None:
        """A message that has to be sent, after those before it."""
        self._messages += 1
        self._bytes += len(value or b"")
        self._db.execute(
            "INSERT INTO outbox (number, topic, key, value, headers, at) VALUES (?, ?, ?, ?, ?, ?)",
            (number, topic, key, value, _headers(headers), self._now()),
        )

    def set_cursor(self, cursor: Mapping[str, object]) -> None:
        """Where the source goes on after what this transaction holds."""
        self._set("cursor", json.dumps(cursor))

    def set_times(self, times: Mapping[str, datetime]) -> None:
        """Up to when everything is here, by event type; it never goes back."""
        known = self.times()
        newest = dict(known) | {name: max(at, known.get(name, at)) for name, at in times.items()}
        if newest != known:
            self._set("times", json.dumps({name: at.isoformat() for name, at in newest.items()}))

    # sending

    def waiting(self, limit: int, *, after: int = 0) -> Sequence[Outgoing]:
        """The first messages that wait (of those after the one with that `id`), in order."""
        with self._turn:  # so that a thread that was left behind ends before the file is closed
            found = self._db.execute(WAITING, (after, limit)).fetchall()
        return [
            Outgoing(id_, number, topic, key, value, tuple((name, content.encode()) for name, content in json.loads(headers)))
            for id_, number, topic, key, value, headers in found
        ]

    def acknowledged(self, last: Outgoing) -> None:
        """Kafka has all messages up to that one. Not forced to the disk: what is forgotten of this is sent again, and known."""
        with self.transaction(forced=False):
            removed = self._db.execute("DELETE FROM outbox WHERE id <= ? RETURNING length(value)", (last.id,)).fetchall()
            self._messages -= len(removed)
            self._bytes -= sum(size or 0 for (size,) in removed)
            self._set("sent", last.number)

    @property
    def size(self) -> int:
        """Bytes that wait to be sent."""
        return self._bytes

    def backlog(self) -> Backlog:
        """What waits to be sent."""
        oldest = self._db.execute("SELECT at FROM outbox ORDER BY id LIMIT 1").fetchone()
        return Backlog(self._messages, self._bytes, None if oldest is None else datetime.fromtimestamp(oldest[0] / 1e6, UTC))

    # inside

    def _size(self) -> None:
        """What waits, counted once and then kept."""
        self._messages, self._bytes = self._db.execute("SELECT count(*), coalesce(sum(length(value)), 0) FROM outbox").fetchone()

    def _meta(self, name: str) -> str:
        if name not in self._known:
            found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            self._known[name] = "" if found is None else str(found[0])
        return self._known[name]

    def _set(self, name: str, value: object) -> None:
        self._known[name] = str(value)
        self._changed.add(name)

    def _count(self, name: str) -> int:
        number = int(self._meta(name)) + 1
        self._set(name, number)
        return number

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1e6)


def _headers(headers: Headers) -> str:
    return json.dumps([[name, content.decode()] for name, content in headers])


def _key(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False)
