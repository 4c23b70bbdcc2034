"""The engine, run over the same histories: in one go, or in batches with restarts between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from bus.indicators.batch import Batch
from bus.indicators.compose import AnyIndicator
from bus.indicators.edition import SMALL_WINDOW
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import Partial, encode
from bus.kafka.ports import Record
from bus.testing.memory import MemoryLog
from tests.model.histories import Choose, publish
from tests.model.histories import Published as Said
from tests.model.measures import half_even
from tests.model.states import Cell
from tests.model.times import micros
from tests.model.views import Published, Rows
from tests.model.worlds import CODEC, PARTITIONS, TYPES, loaded

Found = Mapping[Cell, Output]

#: What is compared besides the numbers: of composites, and of others.
_SHARED = ("n", "label", "status")
_ALL = (*_SHARED, "revision", "late", "corrected", "withdrawn", "heard", "expected", "as_of_us")


def in_one_go(indicator: AnyIndicator, published: Iterable[Said]) -> Found:
    """One batch for each partition, one whole partial of each fold."""
    return newest(indicator, merge_of(indicator, published).full_outputs())


def merge_of(indicator: AnyIndicator, published: Iterable[Said]) -> MergeUnit:
    """The merge behind `in_one_go`."""
    log = log_of(published)
    merge = MergeUnit.new(0)
    for unit in _units(indicator):
        records = log.records(unit.topic, unit.partition)
        if records:
            unit.apply(_batch(unit.indicator, records))
        _merge(merge, unit.full_partial())
    return merge


def in_batches(indicator: AnyIndicator, published: Iterable[Said], choose: Choose) -> Found:
    """Batches of any size, partitions in any order, some of the log twice; folds and merge restarted from their snapshots, a fold also from an
    older one, so that it says some of its partials again with other boundaries; any number of partials merged at once.

    Raises `AssertionError` where readers, who are given the changes, end with something else than the merge says to whoever asks it.
    """
    log = log_of(published)
    units = _units(indicator)
    saved = [(unit.offset, unit.dump()) for unit in units]
    merge = MergeUnit.new(0)
    said, held = [unit.full_partial() for unit in units], []
    setbacks = 3
    while waiting := [place for place, unit in enumerate(units) if unit.offset + 1 < len(log.records(unit.topic, unit.partition))]:
        place = choose(waiting)
        unit = units[place]
        records = log.records(unit.topic, unit.partition)
        first = max(0, unit.offset + 1 - choose([0, 0, 1, 3]))
        last = min(len(records) - 1, unit.offset + choose([1, 1, 2, 5, 20]))
        partial = unit.apply(_batch(unit.indicator, records[first : last + 1]))
        said += [] if partial is None else [partial]
        restart = choose(range(6))
        if restart < 2:
            saved[place] = unit.offset, unit.dump()
        if restart < 2 or (restart == 2 and setbacks):
            setbacks -= restart == 2
            units[place] = FoldUnit.load(unit.indicator, unit.topic, unit.partition, PARTITIONS, *saved[place])
        if choose(range(3)):
            held += _merge(merge, *said)
            said = []
        if choose(range(4)) == 0:
            merge = MergeUnit.load(0, merge.offset, merge.dump())
    held += _merge(merge, *said)
    return _read(indicator, held, merge)


def said_again(indicator: AnyIndicator, published: Iterable[Said], choose: Choose) -> Found:
    """Each fold reads its log record by record up to somewhere, loses its state and reads all of it at once; everything said is merged at
    once. Raises `AssertionError` as `in_batches` does."""
    log = log_of(published)
    merge = MergeUnit.new(0)
    held = [*_merge(merge, *(unit.full_partial() for unit in _units(indicator)))]
    said: list[Partial | None] = []
    for unit, anew in zip(_units(indicator), _units(indicator), strict=True):
        records = log.records(unit.topic, unit.partition)
        said += [unit.apply(_batch(unit.indicator, records[place : place + 1])) for place in range(choose(range(len(records) + 1)))]
        said += [anew.apply(_batch(unit.indicator, records))] if records else []
    held += _merge(merge, *(partial for partial in said if partial is not None))
    return _read(indicator, held, merge)


def _read(indicator: AnyIndicator, held: Iterable[Output], merge: MergeUnit) -> Found:
    told = newest(indicator, merge.full_outputs())
    if missed := _missed(newest(indicator, held), told):
        raise AssertionError("\n".join(missed))
    return told


def _units(indicator: AnyIndicator) -> list[FoldUnit]:
    """The folds that an indicator is made of."""
    leaves = [indicator] if isinstance(indicator, Indicator) else [loaded()[name] for name in indicator.leaves]
    return [
        FoldUnit.new(leaf, leaf.topic, partition, PARTITIONS)
        for leaf in leaves
        if isinstance(leaf, Indicator)
        for partition in range(PARTITIONS)
    ]


def side_by_side(indicators: Sequence[Indicator], published: Iterable[Said], choose: Choose) -> Mapping[str, Found]:
    """Indicators of one event type over the same batches, as in a worker, where units share the work that is the same."""
    log = log_of(published)
    merges = {each.id: MergeUnit.new(0) for each in indicators}
    for partition in range(PARTITIONS):
        units = [FoldUnit.new(each, each.topic, partition, PARTITIONS) for each in indicators]
        records = list(log.records(indicators[0].topic, partition))
        while records:
            size = choose([1, 2, 5, 20])
            batch, records = _batch(indicators[0], records[:size]), records[size:]
            for unit in units:
                unit.apply(batch)
        for unit in units:
            _merge(merges[unit.indicator.id], unit.full_partial())
    return {each.id: newest(each, merges[each.id].full_outputs()) for each in indicators}


def log_of(published: Iterable[Said]) -> MemoryLog:
    """A log that holds the history."""
    log = MemoryLog({f"events.{name}": PARTITIONS for name in TYPES})
    publish(log, published)
    return log


def newest(indicator: AnyIndicator, outputs: Iterable[Output]) -> Found:
    """By cell, what a reader of that indicator is left with."""
    mine = [output for output in outputs if output.indicator == indicator.id]
    return {(output.window_start_us, tuple(output.dimensions.values())): output for output in mine}


def differences(found: Found, wanted: Rows, *, composite: bool = False, stale_ages: bool = False) -> list[str]:
    """What the engine says otherwise than the model, row by row. Of composites the model says less (K8), and only rows with a value and those
    of closings.

    `stale_ages`: an age may be the one of an earlier moment, which it names.
    """
    found = {cell: output for cell, output in found.items() if output.value is not None or output.is_row} if composite else found
    lines = [f"{cell}: the model has no such row: {found[cell]}" for cell in found if cell not in wanted]
    lines += [f"{cell}: not found: {wanted[cell]}" for cell in wanted if cell not in found]
    for cell in sorted(set(found) & set(wanted), key=str):
        output, row = found[cell], as_of(wanted[cell], found[cell].as_of_us) if stale_ages else wanted[cell]
        told = {
            "value": close(output.value, row.value, row.within),
            "numerator/denominator": row.within > 0 or same_quotient(output, row.numerator, row.denominator),
            "error": output.error in (None, "0") or row.within > 0,
            **{name: getattr(output, name) == getattr(row, name) for name in (_SHARED if composite else _ALL)},
        }
        lines += [f"{cell}: {name}: {output} is not {row}" for name, agrees in told.items() if not agrees]
    return lines


def as_of(row: Published, as_of: int | None) -> Published:
    """The row as it was at an earlier moment, if it is about ages."""
    if as_of is None or row.as_of_us is None or row.value is None:
        return row if as_of is None else replace(row, as_of_us=as_of)
    passed = Fraction(row.as_of_us - as_of, 1_000_000)
    if row.within:
        return replace(row, value=row.value - passed, as_of_us=as_of)
    sums = row.numerator - row.n * passed
    return replace(row, value=half_even(sums / row.denominator, 10), numerator=sums, as_of_us=as_of)


def same_quotient(output: Output, numerator: Fraction, denominator: Fraction) -> bool:
    """Numerator and denominator as they are, or both multiplied by the same."""
    top, bottom = Fraction(output.numerator), Fraction(output.denominator)
    return top * denominator == numerator * bottom and (bottom == 0) == (denominator == 0)


def close(value: str | None, wanted: Fraction | None, within: Fraction) -> bool:
    if value is None or wanted is None:
        return value is None and wanted is None
    return abs(Fraction(value) - wanted) <= within


def _batch(indicator: Indicator, records: Sequence[Record]) -> Batch:
    events = [record for record in records if record.value is not None]
    frame = CODEC.decode_batch(indicator.event_type, [each.value or b"" for each in events], [each.offset for each in events])
    beats = [(record.offset, dict(record.headers)) for record in records if record.value is None]
    heartbeats = [(offset, each["ce_source"].decode(), micros(datetime.fromisoformat(each["ce_time"].decode()))) for offset, each in beats]
    return Batch(frame, records[0].offset, records[-1].offset, tuple(heartbeats))


def _merge(merge: MergeUnit, *partials: Partial) -> list[Output]:
    records = [value for partial in partials for value in encode(partial)]
    return merge.apply([(merge.offset + 1 + number, value) for number, value in enumerate(records)])


def _missed(read: Found, told: Found) -> list[str]:
    """Where readers hold something else than what the merge has now.

    They are not told that time alone has passed: an age stays the one of its `as_of_us`, until its cell changes. Nor, in a large window, of
    the rows in which nothing changes but that one more reporter was heard of. Nor of the rows of a reconciliation that an event of the
    registers does not touch, though the revision of all counts it.
    """
    lines = [f"{cell}: readers have never seen {told[cell]}" for cell in told.keys() - read.keys()]
    rows = Counter(start for start, _ in told)
    for cell, held in read.items():
        now, names = told.get(cell), {"value", "numerator", "denominator", *_ALL}
        names -= {"value", "numerator", "as_of_us"} if held.as_of_us is not None else set()
        names -= {"revision"} if "match" in held.dimensions else set()
        names -= {"heard"} if rows[cell[0]] > SMALL_WINDOW else set()
        old = sorted(name for name in names if now is None or getattr(held, name) != getattr(now, name))
        lines += [f"{cell}: readers have an old {', '.join(old)}: {held} instead of {now}"] if old else []
    return lines
