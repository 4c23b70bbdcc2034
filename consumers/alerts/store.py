"""What must survive: the state of every rule, the episodes, and the outbox, in one SQLite file of the data folder.

A batch of the log, the episodes that it begins or ends and what is to be told of them are one transaction: a process that is killed has
either not read the batch, or everything of it is in the outbox. A delivery is marked after it was accepted. So nothing is forgotten, and
only what was accepted while its mark was not yet written is sent again, under the same identity. One process at a time has the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bus.errors import ConfigurationError, FatalError, Problem, TransientError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS unit (
    rule TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, position INTEGER NOT NULL, version INTEGER NOT NULL, time_us INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS cells (rule TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (rule, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS episode (
    id TEXT PRIMARY KEY, rule TEXT NOT NULL, urgent INTEGER NOT NULL, internal INTEGER NOT NULL, begun_us INTEGER NOT NULL,
    at_us INTEGER NOT NULL, ended_us INTEGER, notice TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS episode_ended ON episode (ended_us);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, episode TEXT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL,
    urgent INTEGER NOT NULL, log_us INTEGER NOT NULL, made_us INTEGER NOT NULL, notice TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0, reached TEXT NOT NULL DEFAULT '[]', done_us INTEGER
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (channel, urgent DESC, seq) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_episode ON outbox (episode, channel);
"""
#: The next of a channel: what is urgent first, and each in the order in which it became so.
_NEXT = """
SELECT o.seq, o.id, o.episode, o.kind, o.channel, o.urgent, o.log_us, o.made_us, o.notice, o.attempts, o.reached, e.ended_us,
    (SELECT b.state FROM outbox b WHERE b.episode = o.episode AND b.channel = o.channel AND b.kind = 'begun')
FROM outbox o LEFT JOIN episode e ON e.id = o.episode
WHERE o.channel = ? AND o.state = 'waiting' ORDER BY o.urgent DESC, o.seq LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """A rule's state as it was kept: how far it has read, and its groups by name."""

    fingerprint: str
    position: int
    version: int
    time_us: int
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One transition for one channel. `log_us`: when its cause was appended to the log."""

    id: str
    channel: str
    kind: str
    notice: str


@dataclass(frozen=True, slots=True)
class Happened:
    """A transition as it is written down: its episode as it now is, and who is to be told. `internal`: nobody else may see it."""

    episode: str
    rule: str
    kind: str
    begun_us: int
    at_us: int
    urgent: bool
    internal: bool
    notice: str
    outgoing: Sequence[Outgoing] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch does to one rule."""

    rule: str
    saved: Saved
    happened: Sequence[Happened] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The next delivery of a channel. `begun`: what became of the channel's message that the episode began."""

    seq: int
    id: str
    episode: str
    kind: str
    channel: str
    urgent: bool
    log_us: int
    made_us: int
    notice: Mapping[str, Any]
    attempts: int
    reached: frozenset[str]
    ended_us: int | None
    begun: str | None = field(default=None)


class Store:
    """The file. Every call is one transaction; raises `TransientError` when the disk does not take it."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises `FatalError` when another process has it, `ConfigurationError` when there is no such file to be had."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigurationError([Problem("BUS_DATA_DIR", f"{path} cannot be made: {error}")]) from error
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._db.close()
            raise FatalError(f"{path}: {error}; one process of the role alerts at a time has it") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            what = f"{path} is damaged: {error}; move it away, and what goes on is told again"
            raise ConfigurationError([Problem("BUS_DATA_DIR", what)]) from error

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise TransientError(f"{self.path} could not be written: {error}") from error

    # rules

    def load(self) -> dict[str, Saved]:
        """Every rule's state."""
        groups: dict[str, dict[str, str]] = {}
        for rule, name, state in self._db.execute("SELECT rule, name, state FROM cells"):
            groups.setdefault(rule, {})[name] = state
        rows = self._db.execute("SELECT rule, fingerprint, position, version, time_us FROM unit")
        return {rule: Saved(mark, position, version, at, groups.get(rule, {})) for rule, mark, position, version, at in rows}

    def commit(self, steps: Sequence[Step], made_us: int) -> list[str]:
        """Write down what a batch did: states, episodes and outbox; the ids of the deliveries that were not there before."""
        fresh: list[str] = []
        with self._writing() as db:
            for step in steps:
                saved = step.saved
                db.execute(
                    "INSERT OR REPLACE INTO unit VALUES (?, ?, ?, ?, ?)",
                    (step.rule, saved.fingerprint, saved.position, saved.version, saved.time_us),
                )
                db.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", ((step.rule, *each) for each in saved.groups.items()))
                for happened in step.happened:
                    fresh += self._happen(db, happened, made_us)
        return fresh

    def _happen(self, db: sqlite3.Connection, it: Happened, made_us: int) -> list[str]:
        ended = it.at_us if it.kind == "ended" else None
        db.execute(
            "INSERT INTO episode VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " internal = max(internal, excluded.internal), at_us = excluded.at_us, ended_us = excluded.ended_us, notice = excluded.notice",
            (it.episode, it.rule, it.urgent, it.internal, it.begun_us, it.at_us, ended, it.notice),
        )
        fresh = []
        for each in it.outgoing:
            # Whoever was not told that it began is not told how it goes on.
            known = "SELECT 1 FROM outbox WHERE episode = ? AND channel = ? AND kind = 'begun'"
            if each.kind != "begun" and db.execute(known, (it.episode, each.channel)).fetchone() is None:
                continue
            added = db.execute(
                "INSERT OR IGNORE INTO outbox (id, episode, kind, channel, urgent, log_us, made_us, notice) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (each.id, it.episode, each.kind, each.channel, it.urgent, it.at_us, made_us, each.notice),
            )
            fresh += [each.id] if added.rowcount else []
        return fresh

    def forget(self, rules: Collection[str], at_us: int) -> None:
        """Drop states whose log or rule is another one. Their episodes are over, and nobody is told of that: nothing is known of it."""
        with self._writing() as db:
            for rule in rules:
                db.execute("DELETE FROM unit WHERE rule = ?", (rule,))
                db.execute("DELETE FROM cells WHERE rule = ?", (rule,))
                open_ = "SELECT id FROM episode WHERE rule = ? AND ended_us IS NULL"
                db.execute(f"UPDATE outbox SET state = 'skipped' WHERE state = 'waiting' AND episode IN ({open_})", (rule,))  # noqa: S608
                db.execute("UPDATE episode SET ended_us = ? WHERE rule = ? AND ended_us IS NULL", (at_us, rule))

    # deliveries

    def next(self, channel: str) -> Waiting | None:
        """What the channel is to be told next."""
        row = self._db.execute(_NEXT, (channel,)).fetchone()
        if row is None:
            return None
        seq, id_, episode, kind, name, urgent, log_us, made_us, text, attempts, reached, ended_us, begun = row
        return Waiting(
            seq, id_, episode, kind, name, bool(urgent), log_us, made_us, json.loads(text), attempts, frozenset(json.loads(reached)), ended_us,
            begun,
        )  # fmt: skip

    def done(self, seq: int, state: str, at_us: int) -> None:
        """A delivery is "sent", "refused" for good, "given_up", or "skipped" because it would tell of what is long over."""
        with self._writing() as db:
            db.execute("UPDATE outbox SET state = ?, done_us = ?, attempts = attempts + 1 WHERE seq = ?", (state, at_us, seq))

    def attempted(self, seq: int, reached: Collection[str]) -> None:
        """A delivery did not get through to all; `reached` are those of its addressees who need not be told again."""
        with self._writing() as db:
            db.execute("UPDATE outbox SET attempts = attempts + 1, reached = ? WHERE seq = ?", (json.dumps(sorted(reached)), seq))

    def waiting(self) -> dict[str, int]:
        """How many deliveries wait, by channel."""
        return dict(self._db.execute("SELECT channel, count(*) FROM outbox WHERE state = 'waiting' GROUP BY channel"))

    def states(self) -> list[tuple[str, str, str, str]]:
        """Every delivery: episode, kind, channel and state, in order."""
        return list(self._db.execute("SELECT episode, kind, channel, state FROM outbox ORDER BY seq"))

    # the page

    def episodes(self, since_us: int, limit: int) -> list[tuple[dict[str, Any], int | None]]:
        """What everybody may see: open episodes and those that ended since then, the newest first; each with its end."""
        rows = self._db.execute(
            "SELECT notice, ended_us FROM episode WHERE internal = 0 AND (ended_us IS NULL OR ended_us >= ?)"
            " ORDER BY ended_us IS NOT NULL, urgent DESC, coalesce(ended_us, begun_us) DESC, id LIMIT ?",
            (since_us, limit),
        )
        return [(json.loads(text), ended) for text, ended in rows]

    def open_episodes(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM episode WHERE ended_us IS NULL").fetchone()[0])

    def prune(self, before_us: int) -> None:
        """Drop episodes that ended before then and of which nothing waits."""
        with self._writing() as db:
            old = (
                "SELECT id FROM episode e WHERE ended_us < ?"
                " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.episode = e.id AND o.state = 'waiting')"
            )
            db.execute(f"DELETE FROM outbox WHERE episode IN ({old})", (before_us,))  # noqa: S608
            db.execute(
                "DELETE FROM episode WHERE ended_us < ? AND NOT EXISTS"
                " (SELECT 1 FROM outbox o WHERE o.episode = episode.id AND o.state = 'waiting')",
                (before_us,),
            )
