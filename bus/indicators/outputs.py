"""What readers get of an indicator: one row per cell, with its evidence, and how rows are ordered and exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bus.indicators.accumulators import results
from bus.indicators.changes import parted
from bus.indicators.partial import Cell, CellKey, Definition, canonical, is_closing, sort_key
from bus.indicators.windows import NOW_END, to_datetime, window_end

PROVISIONAL, FINAL = "provisional", "final"

#: The columns of an export beside the dimensions.
RESERVED = ("window_start", "window_end", "value", "numerator", "denominator", "n", "revision", "status", "label")

#: What readers ask for besides values of dimensions, which therefore cannot have these names.
PARAMETERS = ("window", "limit", "cursor", "under", "region_depth", "from", "to", "indicator", "detail", "last_event_id", "ticket")

#: Measures of which nothing is 0.
_ADDING = ("count", "sum")

#: How far each partition had been read: (topic, partition, offset of its last record).
Evidence = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One of the indicators that a composite is computed from: its version, and how many entries of the evidence are its own."""

    indicator: str
    version: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Output:
    """A cell's value as of the log positions in `evidence`. Numbers are decimal texts; `value` is None where there is no number.

    `revision` counts all events that changed the cell; of these `late`, `corrected` and `withdrawn` are those of these kinds, the rest is
    new. `heard` of `expected` reporters have sent anything in the window (expected 0: nobody has declared how many there are). `label` is a
    grade, or what stands on a rank; `error` bounds an estimate's error; `as_of_us` is the moment at which ages were taken. `leaves` says
    of a composite whose evidence is whose, in order; of others it is empty. `closing`: the row stands until the next one of its dimensions.
    """

    indicator: str
    version: int
    fingerprint: str
    window_start_us: int
    window_end_us: int
    dimensions: Mapping[str, str | None]
    value: str | None
    numerator: str
    denominator: str
    n: int
    revision: int
    status: str
    evidence: Evidence
    watermarks: Mapping[str, int]
    late: int = 0
    corrected: int = 0
    withdrawn: int = 0
    heard: int = 0
    expected: int = 0
    label: str | None = None
    error: str | None = None
    as_of_us: int | None = None
    leaves: tuple[Leaf, ...] = ()
    closing: bool = False

    @property
    def is_row(self) -> bool:
        """Whether readers have a row of the cell: somebody is in it, or it is a closing, which also with nobody ends what stood before it."""
        return self.n > 0 or self.closing

    def key(self) -> bytes:
        """Key of its record in `indicators.<id>`: canonical JSON of [window start, dimension values]."""
        return canonical([self.window_start_us, list(self.dimensions.values())]).encode()

    @property
    def order(self) -> tuple[int, int, int]:
        """(version, revision, progress): of two records of one key the higher one is the newer state of the same log.

        Progress is the sum of the evidence's offsets. All three only grow along the log of partials; status does not (a source heard of
        for the first time can make a window provisional again), so it is no part of the order.
        """
        return order_of(self.version, self.revision, (offset for _, _, offset in self.evidence))


def make_output(
    definition: Definition,
    key: CellKey,
    cell: Cell,
    *,
    finished_us: int | None,
    evidence: Evidence,
    watermarks: Mapping[str, int],
    heard: int,
) -> Output:
    """The row of a cell. `finished_us`: the time that every partition has reached."""
    summary, changes = cell
    revision, late, corrected, withdrawn = parted(changes)
    measure, end = definition["measure"], window_end(key[0], definition["window"])
    as_of = max(watermarks.values(), default=0) if measure["kind"] == "age" else None
    found = results(measure, summary, definition["decimals"], as_of)
    closing, n = is_closing(definition), int(summary[0] or 0)
    return Output(
        indicator=definition["id"],
        version=definition["version"],
        fingerprint=definition["fingerprint"],
        window_start_us=key[0],
        window_end_us=end,
        dimensions=dict(zip(definition["dims"], key[1], strict=True)),
        # nobody is nothing: of closings that is a number, where it is one; a mean of nobody is none
        value=found.numerator if closing and not n and measure["kind"] in _ADDING else found.value,
        numerator=found.numerator,
        denominator=found.denominator,
        n=n,
        revision=revision,
        status=FINAL if is_over(definition, key[0], finished_us) and n >= definition.get("minimum_n", 0) else PROVISIONAL,
        evidence=evidence,
        watermarks=watermarks,
        late=late,
        corrected=corrected,
        withdrawn=withdrawn,
        heard=heard,
        expected=definition["expected"],
        label=found.label,
        error=found.error,
        as_of_us=as_of,
        closing=closing,
    )


def withdrawn_output(
    definition: Definition,
    key: CellKey,
    end: int,
    names: Sequence[str],
    *,
    evidence: Evidence,
    watermarks: Mapping[str, int],
    leaves: tuple[Leaf, ...] = (),
) -> Output:
    """The row that takes back a cell which only an earlier version had: `names` are the dimensions that version had."""
    return Output(
        indicator=definition["id"], version=definition["version"], fingerprint=definition["fingerprint"], window_start_us=key[0],
        window_end_us=end, dimensions=dict(zip(names, key[1], strict=True)), value=None, numerator="0", denominator="1", n=0, revision=0,
        status=FINAL, evidence=evidence, watermarks=watermarks, leaves=leaves,
    )  # fmt: skip


def closes(definition: Definition, start: int) -> int:
    """When the window that begins at `start` becomes final: its end and the time allowed for being late, UTC microseconds."""
    return window_end(start, definition["window"]) + definition["late_seconds"] * 1_000_000


def is_over(definition: Definition, start: int, finished_us: int | None) -> bool:
    """Whether every partition has reached the moment when the window that begins at `start` becomes final."""
    return finished_us is not None and finished_us >= closes(definition, start)


def finished(watermarks: Sequence[Mapping[str, int]], partitions: int) -> int | None:
    """The time that every partition has reached, by events or heartbeats of any source; None until all have been heard of.

    The newest source of a partition counts, not the slowest: one silent agency must not keep the others' numbers provisional for ever. Its
    silence shows in the watermarks and in who was heard of.
    """
    if len(watermarks) < partitions or not all(watermarks):
        return None
    return min(max(marks.values()) for marks in watermarks)


def newest_of(watermarks: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Per source the newest time that any partition has of it, by source."""
    newest: dict[str, int] = {}
    for marks in watermarks:
        for source, mark in marks.items():
            newest[source] = max(mark, newest.get(source, mark))
    return dict(sorted(newest.items()))


def order_of(version: int, revision: int, offsets: Iterable[int]) -> tuple[int, int, int]:
    """`Output.order` from a record's fields; `offsets` are those of its evidence."""
    return version, revision, sum(offset + 2 for offset in offsets)


def export_rows(outputs: Iterable[Output], dims: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Header and sorted rows of an indicator's CSV: the newest output of each cell; those that are no rows are left out.

    Times are ISO 8601 with the offset of Asia/Jakarta; null dimensions and values, and the window of the current state, are empty. `dims`
    names the columns when there may be no output to take them from. Where rows have labels (grades, what stands on a rank) they come last.
    """
    newest: dict[bytes, Output] = {}
    for output in outputs:
        held = newest.get(output.key())
        if held is None or output.order > held.order:
            newest[output.key()] = output
    kept = sorted(
        (output for output in newest.values() if output.is_row),
        key=lambda output: sort_key((output.window_start_us, tuple(output.dimensions.values()))),
    )
    names = list(kept[0].dimensions) if kept else list(dims)
    labelled = any(output.label is not None for output in kept)
    header = ["window_start", "window_end", *names, *RESERVED[2:-1], *(["label"] if labelled else [])]
    return header, [[*_row(output), *([output.label or ""] if labelled else [])] for output in kept]


def _row(output: Output) -> list[str]:
    now = output.window_end_us == NOW_END
    return [
        "" if now else to_datetime(output.window_start_us).isoformat(),
        "" if now else to_datetime(output.window_end_us).isoformat(),
        *(value or "" for value in output.dimensions.values()),
        output.value or "",
        output.numerator,
        output.denominator,
        str(output.n),
        str(output.revision),
        output.status,
    ]
