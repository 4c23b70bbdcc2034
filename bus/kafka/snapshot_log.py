"""What the records of the snapshot topic say (ADR 0014 R2, R3, ADR 0015): which snapshots are complete, and what nobody can need any more.

Keys in JSON, all records of a unit in one partition:

    ["block", unit, written_at, name, sha256]   a piece of a block, as packed; written with the snapshot at `written_at`
    ["list",  unit, written_at, group, sha256]  a piece of the list of the blocks whose names begin with "<group>/"
    ["state", unit, offset, sha256]             the end record: the other blocks, and the lists
    ["chunk", unit, offset, index, sha256]      former form: a piece of the state as it is
    ["end",   unit, offset, sha256]             former form: the end record, with the hashes of the chunks in order

A list is kept as a block is: touched when one of its blocks is, and otherwise left where it lies.
A key names its content, so writing one again (after a crash, or by a process that was stopped in the middle) says the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bus.errors import FatalError
from bus.kafka.packing import Piece, digest, pack, unpack

#: How many distinct offsets of a unit stay.
GENERATIONS = 2

BLOCK, LIST, STATE, CHUNK, END = "block", "list", "state", "chunk", "end"
_ENDS = frozenset({STATE, END})
_SPEAKING = frozenset({LIST, STATE, END})
_LASTING = frozenset({BLOCK, LIST})
_FORM = 1


class Key(NamedTuple):
    """What a record is; `name` is that of a block or a group, the index of a chunk, and otherwise empty."""

    kind: str
    unit: str
    offset: int
    name: str
    digest: str

    def encode(self) -> bytes:
        name: list[object] = [] if self.kind in _ENDS else [int(self.name)] if self.kind == CHUNK else [self.name]
        return json.dumps([self.kind, self.unit, self.offset, *name, self.digest], separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Key | None:
        """None for what is no key of ours."""
        try:
            parts = json.loads(raw)
        except ValueError:
            return None
        match parts:
            case ["block" | "list" as kind, str(unit), int(offset), str(name), str(sha256)]:
                return cls(kind, unit, offset, name, sha256)
            case ["state" | "end" as kind, str(unit), int(offset), str(sha256)]:
                return cls(kind, unit, offset, "", sha256)
            case ["chunk", str(unit), int(offset), int(index), str(sha256)] if index >= 0:
                return cls(CHUNK, unit, offset, str(index), sha256)
        return None


Records = list[tuple[Key, bytes]]


class Entry(NamedTuple):
    """Where a block or a list lies: not touched after `written_at`, and touched after `since` unless that is -1, which says nothing."""

    name: str
    since: int
    written_at: int
    digests: tuple[str, ...]

    def records(self, unit: str, kind: str = BLOCK) -> tuple[Key, ...]:
        """Its records, in order."""
        return tuple(Key(kind, unit, self.written_at, self.name, sha256) for sha256 in self.digests)


@dataclass(frozen=True, slots=True)
class Listing:
    """A snapshot: name -> block, and group -> its list; in the former form `chunks` instead."""

    unit: str
    offset: int
    entries: Mapping[str, Entry] = field(default_factory=dict)
    lists: Mapping[str, Entry] = field(default_factory=dict)
    #: None for a snapshot of the present form.
    chunks: tuple[Key, ...] | None = None

    def records(self) -> Iterator[Key]:
        """All records besides the end record without which the snapshot does not count."""
        yield from self.chunks or ()
        for entry in self.lists.values():
            yield from entry.records(self.unit, LIST)
        for entry in self.entries.values():
            yield from entry.records(self.unit)

    def supersedes(self, old: Key) -> bool:
        """Whether no state at this offset or a higher one can list that block, or that list of a group (see `bus.kafka.snapshots`)."""
        if self.chunks is not None:
            return False
        entry = (self.entries if old.kind == BLOCK else self.lists).get(old.name)
        return entry is None or old.offset <= entry.since


def group_of(name: str) -> str:
    """The group whose list names the block; "" for one that the end record names itself."""
    return name.rpartition("/")[0]


def listing_of(unit: str, offset: int, blocks: Mapping[str, tuple[Piece, ...] | None], base: Listing | None) -> tuple[Listing, Records]:
    """The snapshot that consists of these blocks, None standing for those that are as in `base`, and the records of its lists.

    Raises `FatalError` for None where `base` has no such block.
    """
    since = base.offset if base is not None and base.chunks is None and base.offset < offset else -1
    known = base if base is not None else Listing(unit, -1)
    unknown = sorted(name for name, pieces in blocks.items() if pieces is None and name not in known.entries)
    if unknown:
        raise FatalError(f"{unit} at offset {offset}: blocks said to be unchanged that no snapshot before it has: {', '.join(unknown[:5])}")
    entries = {
        name: known.entries[name] if pieces is None else Entry(name, since, offset, tuple(piece.digest for piece in pieces))
        for name, pieces in blocks.items()
    }
    groups, former = _grouped(entries), _grouped(known.entries)
    lists: dict[str, Entry] = {}
    records: Records = []
    for group, listed in groups.items():
        if group in known.lists and listed == former[group]:
            lists[group] = known.lists[group]
            continue
        pieces = pack(_text(blocks=listed))
        lists[group] = Entry(group, since, offset, tuple(piece.digest for piece in pieces))
        records += zip(lists[group].records(unit, LIST), (piece.value for piece in pieces), strict=True)
    return Listing(unit, offset, entries, lists), records


def end_of(listing: Listing) -> tuple[Key, bytes]:
    """The end record of a snapshot that is to be written."""
    alone = sorted(entry for name, entry in listing.entries.items() if not group_of(name))
    pieces = pack(_text(blocks=alone, lists=sorted(listing.lists.values())))
    if len(pieces) > 1:
        raise FatalError(f"{listing.unit} at offset {listing.offset}: {len(listing.lists)} groups of blocks are too many for one record")
    return Key(STATE, listing.unit, listing.offset, "", pieces[0].digest), pieces[0].value


def _grouped(entries: Mapping[str, Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for name in sorted(entries):
        if group := group_of(name):
            groups.setdefault(group, []).append(entries[name])
    return groups


def _text(**listed: Sequence[Entry]) -> bytes:
    return json.dumps({"form": _FORM, **listed}, separators=(",", ":")).encode()


def _entries(value: bytes, what: str) -> dict[str, Entry]:
    record = json.loads(value)
    if record["form"] != _FORM:
        raise FatalError(f"a snapshot is listed in form {record['form']}; this program knows {_FORM}")
    return {name: Entry(name, since, written_at, tuple(digests)) for name, since, written_at, digests in record[what]}


@dataclass(slots=True)
class UnitLog:
    """What is known of one unit: where each live record lies in the log, and what its end records and lists say."""

    places: dict[Key, int] = field(default_factory=dict)
    _values: dict[Key, bytes] = field(default_factory=dict)
    _listings: dict[Key, Listing] = field(default_factory=dict)
    _lists: dict[tuple[Key, ...], Mapping[str, Entry]] = field(default_factory=dict)

    def note(self, key: Key, place: int, value: bytes | None) -> None:
        """Take over one record. A process's own writes are noted before they are read, so an older place never replaces a newer one."""
        if self.places.get(key, -1) > place:
            return
        if value is None:
            self._drop(key)
            return
        self.places[key] = place
        if key.kind in _SPEAKING and key not in self._values and digest(value) == key.digest:
            self._values[key] = value

    def complete(self) -> Iterator[Listing]:
        """The snapshots of which every record is there, the highest offset first."""
        for end in sorted((key for key in self._values if key.kind in _ENDS), key=lambda key: key.offset, reverse=True):
            listing = self._listing(end)
            if listing is not None and all(key in self.places for key in listing.records()):
                yield listing

    def newest(self) -> Listing | None:
        """The complete snapshot with the highest offset."""
        return next(self.complete(), None)

    def obsolete(self) -> list[Key]:
        """Keys of what no reader can need any more, in the order in which they are taken away."""
        kept: dict[int, list[Listing]] = {}
        for listing in self.complete():
            if len(kept) == GENERATIONS and listing.offset not in kept:
                break
            kept.setdefault(listing.offset, []).append(listing)
        if len(kept) < GENERATIONS:
            return []
        floor, lowest = kept.popitem()
        listed = {key for each in (*lowest, *(one for same in kept.values() for one in same)) for key in each.records()}
        gone = [key for key in self.places if key.offset < floor and key not in listed]
        return in_order(key for key in gone if key.kind not in _LASTING or any(each.supersedes(key) for each in lowest))

    def _drop(self, key: Key) -> None:
        self.places.pop(key, None)
        self._values.pop(key, None)
        self._listings.pop(key, None)
        if key.kind == LIST:
            self._lists = {keys: entries for keys, entries in self._lists.items() if key not in keys}

    def _listing(self, end: Key) -> Listing | None:
        if end not in self._listings:
            if end.kind == END:
                chunks = enumerate(json.loads(self._values[end])["chunks"])
                listing = Listing(
                    end.unit, end.offset, chunks=tuple(Key(CHUNK, end.unit, end.offset, str(n), sha256) for n, sha256 in chunks)
                )
            else:
                text = unpack([self._values[end]])
                lists, entries = _entries(text, "lists"), _entries(text, "blocks")
                for entry in lists.values():
                    listed = self._list(entry.records(end.unit, LIST))
                    if listed is None:
                        return None
                    entries |= listed
                listing = Listing(end.unit, end.offset, entries, lists)
            self._listings[end] = listing
        return self._listings[end]

    def _list(self, keys: tuple[Key, ...]) -> Mapping[str, Entry] | None:
        if keys not in self._lists:
            if any(key not in self._values for key in keys):
                return None
            self._lists[keys] = _entries(unpack(self._values[key] for key in keys), "blocks")
        return self._lists[keys]


def in_order(keys: Iterable[Key]) -> list[Key]:
    """Records in the order in which they are taken away: end records first, so that no half of a snapshot ever counts."""
    return sorted(keys, key=lambda key: (key.kind not in _ENDS, key))
