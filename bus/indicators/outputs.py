"""What readers get of an indicator: one row per cell, with its evidence, and how rows are ordered and exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bus.indicators.accumulators import Summary, merge_summaries, results
from bus.indicators.partial import CellKey, Definition, canonical, sort_key
from bus.indicators.windows import to_datetime, window_end

PROVISIONAL, FINAL = "provisional", "final"


@dataclass(frozen=True, slots=True)
class Output:
    """A cell's value as of the log positions in `evidence`. Numbers are decimal texts; `value` is None when readers drop the row."""

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
    evidence: tuple[tuple[str, int, int], ...]
    watermarks: Mapping[str, int]

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
    summaries: Sequence[tuple[Summary, int]],
    *,
    finished_us: int | None,
    evidence: tuple[tuple[str, int, int], ...],
    watermarks: Mapping[str, int],
) -> Output:
    """The row of a cell from what each partition says of it. `finished_us`: the time that every source has reached."""
    merged = merge_summaries(definition["kind"], [summary for summary, _ in summaries])
    value, numerator, denominator = results(
        definition["kind"], merged, definition["scale"], definition["denominator_scale"], definition["decimals"]
    )
    end = window_end(key[0], definition["window"])
    return Output(
        indicator=definition["id"],
        version=definition["version"],
        fingerprint=definition["fingerprint"],
        window_start_us=key[0],
        window_end_us=end,
        dimensions=dict(zip(definition["dims"], key[1], strict=True)),
        value=value,
        numerator=numerator,
        denominator=denominator,
        n=merged[0] or 0,
        revision=sum(revision for _, revision in summaries),
        status=FINAL if finished_us is not None and finished_us >= closes(definition, key[0]) else PROVISIONAL,
        evidence=evidence,
        watermarks=watermarks,
    )


def closes(definition: Definition, start: int) -> int:
    """When the window that begins at `start` becomes final: its end and the time allowed for being late, UTC microseconds."""
    return window_end(start, definition["window"]) + definition["late_seconds"] * 1_000_000


def finished(watermarks: Mapping[str, int]) -> int | None:
    """The time that every source has reached; None before any was heard of."""
    return min(watermarks.values()) if watermarks else None


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
    """Header and sorted rows of an indicator's CSV: the newest output of each cell; cells that nothing entered are left out.

    Times are ISO 8601 with the offset of Asia/Jakarta; null dimensions and values are empty. `dims` names the columns when there may be no
    output to take them from.
    """
    newest: dict[bytes, Output] = {}
    for output in outputs:
        held = newest.get(output.key())
        if held is None or output.order > held.order:
            newest[output.key()] = output
    kept = sorted(
        (output for output in newest.values() if output.n),
        key=lambda output: sort_key((output.window_start_us, tuple(output.dimensions.values()))),
    )
    names = list(kept[0].dimensions) if kept else list(dims)
    header = ["window_start", "window_end", *names, "value", "numerator", "denominator", "n", "revision", "status"]
    return header, [_row(output) for output in kept]


def _row(output: Output) -> list[str]:
    return [
        to_datetime(output.window_start_us).isoformat(),
        to_datetime(output.window_end_us).isoformat(),
        *(value or "" for value in output.dimensions.values()),
        output.value or "",
        output.numerator,
        output.denominator,
        str(output.n),
        str(output.revision),
        output.status,
    ]
