"""How a journal's file is laid out, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bus.kafka.ports import Headers

#: Layout of the file; another is refused, never misread.
FORMAT = 2
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB, headers TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE TABLE row (key TEXT PRIMARY KEY, number INTEGER NOT NULL, doubtful INTEGER NOT NULL, events TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told (subject TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (subject, key)) WITHOUT ROWID;
CREATE TABLE seen (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX seen_at ON seen (at);
"""
WAITING = "SELECT id, number, topic, key, value, headers FROM outbox WHERE id > ? ORDER BY id LIMIT ?"


class Outgoing(NamedTuple):
    """A message that waits: `key` is the event's subject, or the quarantine's place; `value` None is a tombstone."""

    id: int
    number: int
    topic: str
    key: str
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent: messages, their bytes, and since when the oldest does."""

    messages: int
    bytes: int
    oldest: datetime | None
