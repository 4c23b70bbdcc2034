"""The connector with one clause of R6 broken at a time: what a delivery is, what it changes, and what becomes of what was refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bus.errors import RecordError
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.ingest.claims import Claim, Claims
from bus.ingest.context import SourceContext
from bus.ingest.delivery import Derivation, Derived, Encoded
from bus.ingest.files import Facts, Settling
from bus.ingest.rows import Rows
from bus.ingest.source import BadRecord, RawRecord
from bus.ingest.stamp import Stamp
from tests.pipeline.mutants_ingest import mutant

# claims


@mutant("won by reading one's own claim back", "a_race_for_a_number")
def believes_its_own_claim(patch: pytest.MonkeyPatch) -> None:
    claim = Claims.claim

    async def sure(self: Claims, facts: Facts, *, unread: Collection[int] = (), newest_refused: bool = False) -> Claim | None:
        number = max(self._claims, default=0) + 1
        await claim(self, facts, unread=unread, newest_refused=newest_refused)
        return self._claims.get(number)

    patch.setattr(Claims, "claim", sure)


@mutant("as the first for that number", "a_race_for_a_number", "a_late_claim")
def the_last_claim_holds(patch: pytest.MonkeyPatch) -> None:
    refresh = Claims.refresh

    async def last(self: Claims) -> None:
        position = self._tail._position
        await refresh(self)
        if self._tail._position == position:
            return
        self._claims.clear()
        for start in range(self._tail._position or 0):
            self._claims, before = {}, self._claims
            self._tail._position = start
            reader, self._tail._reader = self._tail._reader, _Until(self._tail._reader, start + 1)
            await refresh(self)
            self._tail._reader = reader
            self._claims = before | self._claims

    patch.setattr(Claims, "refresh", last)


class _Until:
    """A reader whose log ends early."""

    def __init__(self, reader: Any, end: int) -> None:
        self._reader, self._end = reader, end

    async def end(self, partition: Any) -> int:
        return self._end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


@mutant("once the file is whole", "a_file_that_grows")
def claims_half_a_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settling, "settled", lambda self, files, **_: list(files))


# re-deliveries


@mutant("a re-delivery is compared with the state after the one before it", "changed_missing_unchanged")
def compares_with_nothing(patch: pytest.MonkeyPatch) -> None:
    derivation = SourceContext.derivation
    patch.setattr(SourceContext, "derivation", lambda self, stamp, rows: derivation(self, stamp, Rows()))


@mutant("with the state after the one before it (not an earlier one)", "back_to_the_first")
def compares_with_the_first(patch: pytest.MonkeyPatch) -> None:
    after = Rows.after

    def unmoved(self: Rows, delivery: int, changes: Any, **options: Any) -> Rows:
        known = {key: row for key, row in changes.items() if key not in self.rows}
        return after(self, delivery, known, **options)

    patch.setattr(Rows, "after", unmoved)


@mutant("unchanged = no event", "changed_missing_unchanged")
def repeats_the_unchanged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rows, "doubtful", lambda self, row: True)


@mutant("changed = CORRECT", "changed_missing_unchanged")
def creates_what_changed(patch: pytest.MonkeyPatch) -> None:
    envelope = Stamp.envelope

    def created(self: Stamp, event: Event, op: Op, *, line: int, number: int) -> Envelope:
        return envelope(self, event, Op.CREATE if op is Op.CORRECT else op, line=line, number=number)

    patch.setattr(Stamp, "envelope", created)


@mutant("missing from a whole `table` = CANCEL", "changed_missing_unchanged")
def keeps_what_is_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Derivation, "finish", lambda self, last_line: iter(()))


@mutant("missing from a whole `table` (a file that only adds says nothing of others)", "files_that_add")
def cancels_what_a_file_that_adds_lacks(patch: pytest.MonkeyPatch) -> None:
    finish = Derivation.finish

    def all_gone(self: Derivation, last_line: int) -> Iterator[Derived]:
        self._table = True
        return finish(self, last_line)

    patch.setattr(Derivation, "finish", all_gone)


@mutant("missing from a *whole* table (not when a record could not be read)", "changed_missing_unchanged")
def cancels_from_half_a_table(patch: pytest.MonkeyPatch) -> None:
    finish = Derivation.finish

    def all_gone(self: Derivation, last_line: int) -> Iterator[Derived]:
        self._unkeyed = False
        return finish(self, last_line)

    patch.setattr(Derivation, "finish", all_gone)


@mutant("skipped by hash only if it equals the source's *latest* delivery", "back_to_the_first")
def skips_what_any_delivery_said(patch: pytest.MonkeyPatch) -> None:
    claim, newest = Claims.claim, Claims.newest

    async def noting(self: Claims, facts: Facts, **options: Any) -> Claim | None:
        wanted.append(facts.sha256)
        return await claim(self, facts, **options)

    def like_it(self: Claims) -> Claim | None:
        same = [each for each in self._claims.values() if wanted and each.sha256 == wanted[-1]]
        return same[0] if same else newest(self)

    wanted: list[str] = []
    patch.setattr(Claims, "claim", noting)
    patch.setattr(Claims, "newest", like_it)


@mutant("only if it equals the source's *latest* delivery (also under its old name)", "back_to_the_first")
def takes_an_old_content_for_known(patch: pytest.MonkeyPatch) -> None:
    def ever(self: Claims, facts: Facts, *, unread: Collection[int] = ()) -> bool:
        return any((each.name_id, each.sha256) == (facts.seen.name_id, facts.sha256) for each in self._claims.values())

    patch.setattr(Claims, "knows", ever)


@mutant("is skipped by hash … if it equals the source's latest delivery", "the_same_under_two_names")
def reads_repetitions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claims, "newest", lambda self: None)


# quarantine


def _replayed(patch: pytest.MonkeyPatch, change: Callable[[Stamp, Envelope, int, int], Envelope]) -> None:
    envelope = Stamp.envelope

    def other(self: Stamp, event: Event, op: Op, *, line: int, number: int) -> Envelope:
        found = envelope(self, event, op, line=line, number=number)
        return found if self.replayed_line is None else change(self, found, line, number)

    patch.setattr(Stamp, "envelope", other)


@mutant("a record replayed from quarantine is a source by itself", "replays")
def replays_under_its_old_source(patch: pytest.MonkeyPatch) -> None:
    _replayed(patch, lambda stamp, e, line, number: replace(e, source=stamp.source, sequence=sequence_of(stamp.delivery, line, number)))


@mutant("named by its original source and position", "replays")
def replays_share_a_source(patch: pytest.MonkeyPatch) -> None:
    _replayed(patch, lambda stamp, e, line, number: replace(e, source=f"{stamp.source}#replayed"))


@mutant("ordered by the fact's own version: a replay keeps that of its original place", "replays")
def replays_as_the_newest_word(patch: pytest.MonkeyPatch) -> None:
    _replayed(patch, lambda stamp, e, line, number: replace(e, version=sequence_of(1_000, line)))


@mutant("a record is accepted or refused as a whole", "a_record_with_one_bad_event")
def accepts_half_a_record(patch: pytest.MonkeyPatch) -> None:
    whole = Derivation.record

    def half(self: Derivation, record: RawRecord | BadRecord) -> Derived:
        derived = whole(self, record)
        good: list[Encoded] = []
        if derived.reason is not None and isinstance(record, RawRecord):
            try:
                for number, event in enumerate(self._meaning.to_events(record.values)):
                    good.append(self._encode(event, Op.CORRECT, record.line, number))
            except RecordError:
                return replace(derived, events=tuple(good))
        return derived

    patch.setattr(Derivation, "record", half)
