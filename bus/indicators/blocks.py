"""The entries of a state in blocks: what a snapshot writes again is the blocks that were touched, and what nobody needs now may leave memory.

Entries lie in *groups* (the windows of a stretch of time, or all subjects), and those of a group in one block or more: as many as its
number of entries asks for, by linear hashing (Litwin, VLDB 1980), so that one block is divided at a time. Group, hash and number decide
where an entry lies: which blocks there are and what is in them is a function of the state, whatever its history. A block is named
`<group><letter><bits>.<number>`, where the group ends with "/" or ":"; it holds the entries whose hash ends in that number, in so many bits.
Entries are never removed.

`entries` is a plain dictionary, for those who look up and change many. Touched is what the log touched: whoever changes an entry says so in
`touched`, and takes in new ones by `add`, no more and no less (ADR 0015).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bus.errors import FatalError
from bus.indicators import columns

K = TypeVar("K")
V = TypeVar("V")

#: What a snapshot writes of a state: block name -> its rows (or its bytes), or None where the block was not touched.
Frozen = dict[str, "columns.Column | None"]

#: Entries in a block, on average at most.
PER_BLOCK = 1_024

_NAME = re.compile(r"(.*[/:])([a-z])(\d+)\.(\d+)")


class _Group(Generic[K]):
    """The keys of a group by block."""

    __slots__ = ("blocks", "count", "divided")

    def __init__(self, blocks: int = 1) -> None:
        self.blocks: list[list[K]] = [[] for _ in range(blocks)]
        self.count = 0
        #: Blocks that have come about, or lost entries to such, since the last snapshot.
        self.divided: set[int] = set()

    def number(self, hashed: int) -> int:
        """The number of the block for a hash."""
        blocks = len(self.blocks)
        whole = 1 << (blocks.bit_length() - 1)
        number = hashed & (2 * whole - 1)
        return number if number < blocks else number - whole

    def bits(self, number: int) -> int:
        """How many bits of the hashes in that block are equal."""
        blocks = len(self.blocks)
        depth = blocks.bit_length() - 1
        whole = 1 << depth
        return depth + (number >= whole or number < blocks - whole)


class Blocks(Generic[K, V]):
    """Entries by key. `place(key)` gives group and hash; `freeze(entry)` a value that nobody changes, fit for `columns`; `thaw` the entry;
    `share(key)` an equal key to be kept."""

    def __init__(
        self,
        letter: str,
        place: Callable[[K], tuple[str, int]],
        freeze: Callable[[V], object],
        thaw: Callable[[Any], V],
        *,
        order: Callable[[Iterable[K]], list[K]] = sorted,  # type: ignore[assignment]  # keys that have no other order are texts or numbers
        per_block: int | None = None,
        share: Callable[[K], K] = lambda key: key,
        entries: MutableMapping[K, V] | None = None,
    ) -> None:
        self._letter = letter
        self._place = place
        self._freeze = freeze
        self._thaw = thaw
        self._order = order
        self._share = share
        self._per_block = min(per_block or PER_BLOCK, PER_BLOCK)
        self._groups: dict[str, _Group[K]] = {}
        #: The groups whose entries, and with them their keys, have left memory.
        self._cold: set[str] = set()
        #: Those in memory; a mapping of the caller's, if there is one.
        self.entries: MutableMapping[K, V] = {} if entries is None else entries
        #: The keys of new entries that have no place in a group yet: the log brings them by and by, and few ask for blocks.
        self._new: list[K] = []
        #: The keys of entries that were changed since the last snapshot.
        self.touched: set[K] = set()

    def add(self, key: K, entry: V) -> None:
        """Take in a new entry, which is touched by this. Raises `FatalError` where entries have left memory: it might be there already."""
        if self._cold and (name := self._place(key)[0]) in self._cold:
            raise FatalError(f"blocks of {name} have left memory and were not brought back")
        kept = self._share(key)
        self.entries[kept] = entry
        self.touched.add(kept)
        self._new.append(kept)

    # snapshots

    def names(self) -> set[str]:
        """The names of all blocks."""
        self._settle()
        return {self._name(name, group, number) for name, group in self._groups.items() for number in range(len(group.blocks))}

    def frozen(self, *, whole: bool = False) -> Frozen:
        """All blocks: rows to be encoded of those touched since `saved` (or of all), None for the others. Nothing that happens later
        changes the rows, so that they can be encoded in a thread. Raises `FatalError` when all are asked for and some have left memory."""
        found: Frozen = dict.fromkeys(self.names())
        if whole and (cold := self.cold()):
            raise FatalError(f"{len(cold)} blocks, of which one is {min(cold)}, have left memory and were not brought back")
        chosen: dict[str, set[int]] = defaultdict(set)
        for name, group in self._groups.items():
            chosen[name] |= set(range(len(group.blocks))) if whole else group.divided
        for key in self.touched:
            name, hashed = self._place(key)
            chosen[name].add(self._groups[name].number(hashed))
        for name, numbers in chosen.items():
            group = self._groups[name]
            for number in numbers:
                found[self._name(name, group, number)] = self._rows(group.blocks[number])
        return found

    def saved(self) -> None:
        """What `frozen` gave is durable, and nothing was touched since."""
        self._settle()
        self.touched.clear()
        for group in self._groups.values():
            group.divided.clear()

    def load(self, blocks: Mapping[str, bytes], elsewhere: Collection[str] = ()) -> None:
        """Begin with the blocks of a snapshot; the groups of those `elsewhere` stay there. Raises `FatalError` when a block is missing."""
        named: dict[str, set[str]] = defaultdict(set)
        for name in (*blocks, *elsewhere):
            named[_group_of(name)].add(name)
        for name, held in named.items():
            group = self._groups[name] = _Group(len(held))
            self._cold.add(name)
            wanted = {self._name(name, group, number) for number in range(len(held))}
            if held != wanted:
                raise FatalError(f"a snapshot has the blocks {sorted(held)[:5]}, not {sorted(wanted)[:5]}")
        self.warm(blocks)

    # what leaves memory, and comes back

    def clean(self) -> set[str]:
        """The groups in memory of which a snapshot has everything."""
        self._settle()
        touched = {self._place(key)[0] for key in self.touched}
        return {name for name, group in self._groups.items() if not (group.divided or name in touched)} - self._cold

    def evict(self, groups: Collection[str]) -> None:
        """Let the entries of groups go. Raises `FatalError` for one that was touched since the last snapshot."""
        if kept := set(groups) - self.clean():
            raise FatalError(f"blocks of {min(kept)} that no snapshot has may not leave memory")
        for name in groups:
            held = self._groups[name]
            for keys in held.blocks:
                for key in keys:
                    del self.entries[key]
            self._groups[name] = _Group(len(held.blocks))
            self._cold.add(name)

    @property
    def all_here(self) -> bool:
        """Whether everything is in memory."""
        return not self._cold

    def cold(self, groups: Collection[str] | None = None) -> set[str]:
        """The blocks that have left memory, of these groups or of all: what has to come back before entries of theirs are looked at. Those
        of a group come back together, for a new entry may divide any."""
        chosen = self._cold if groups is None else self._cold.intersection(groups)
        return {self._name(name, self._groups[name], number) for name in chosen for number in range(len(self._groups[name].blocks))}

    def needs(self, keys: Iterable[K]) -> set[str]:
        """The blocks that have to come back before these entries are looked at or changed."""
        return self.cold({self._place(key)[0] for key in keys})

    def warm(self, blocks: Mapping[str, bytes]) -> None:
        """Blocks that come back into memory. Raises `FatalError` for half a group; groups that are there already stay as they are."""
        named: dict[str, set[str]] = defaultdict(set)
        for name in blocks:
            named[_group_of(name)].add(name)
        for name, held in named.items():
            if name not in self._cold:
                continue
            if missing := self.cold([name]) - held:
                raise FatalError(f"{len(missing)} blocks of {name} did not come back with the others")
            group = self._groups[name]
            self._cold.remove(name)
            for each in held:
                for read, entry in columns.decode(blocks[each]):
                    key = self._share(read)
                    self.entries[key] = self._thaw(entry)
                    group.blocks[group.number(self._place(key)[1])].append(key)
                    group.count += 1

    # inside

    def _settle(self) -> None:
        """Give the new entries their places."""
        new, self._new = self._new, []
        for key in new:
            name, hashed = self._place(key)
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = _Group()
            self._hold(group, key, hashed)

    def _hold(self, group: _Group[K], key: K, hashed: int) -> None:
        group.blocks[group.number(hashed)].append(key)
        group.count += 1
        if group.count > len(group.blocks) * self._per_block:
            divided = len(group.blocks) - (1 << (len(group.blocks).bit_length() - 1))
            keys, group.blocks[divided] = group.blocks[divided], []
            group.blocks.append([])
            for each in keys:
                group.blocks[group.number(self._place(each)[1])].append(each)
            group.divided |= {divided, len(group.blocks) - 1}

    def _rows(self, keys: Iterable[K]) -> columns.Column:
        entries, freeze = self.entries, self._freeze
        return [(key, freeze(entries[key])) for key in self._order(keys)]

    def _name(self, name: str, group: _Group[K], number: int) -> str:
        return f"{name}{self._letter}{group.bits(number)}.{number}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A state as it was at some moment, still to be made bytes of."""

    blocks: Frozen

    @property
    def rows(self) -> int:
        """How much there is to do."""
        return sum(len(rows) for rows in self.blocks.values() if rows is not None)

    def encode(self) -> dict[str, bytes | None]:
        """Block name -> bytes, or None where it was not touched."""
        return {name: rows if rows is None or isinstance(rows, bytes) else columns.encode(rows) for name, rows in self.blocks.items()}


def letter_of(name: str) -> str:
    """The letter of the `Blocks` that a block's name belongs to; "" for a name of another kind."""
    found = _NAME.fullmatch(name)
    return found[2] if found else ""


def _group_of(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is None:
        raise FatalError(f"{name!r} is not the name of a block")
    return found[1]
