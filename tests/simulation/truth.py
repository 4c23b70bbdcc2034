"""The truth of a made-up world, and what the mappings make of its records, as logs that the reference model reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bus.errors import RecordError
from bus.events.envelope import Event, Op
from bus.indicators.outputs import Output
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Agency
from bus.settings import ROOT
from bus.simulation.faults import Told
from bus.simulation.story import Fact
from bus.simulation.systems.form import as_json
from bus.simulation.world import World
from bus.testing.samples import map_values
from tests.model.engine import as_of, close, same_quotient
from tests.model.events import Entry
from tests.model.model import Model
from tests.model.states import Cell
from tests.model.views import Rows


def production_model() -> Model:
    """The indicators of the repository, read by the model."""
    folder = ROOT / "schemas" / "reference"
    return Model.load([ROOT / "schemas"], {path.stem: path for path in sorted(folder.glob("*.csv"))}, partitions=1)


def as_log(facts: Iterable[Fact]) -> list[Entry]:
    """Facts in the order in which they were told, as one source says them in one partition."""
    return [
        (f"events.{fact.event.type}", 0, number, {
            **fact.event.data, "source": "truth", "sequence": number, "version": number, "subject": fact.event.subject,
            "occurred_at": fact.event.occurred_at, "op": fact.op.value,
        })
        for number, fact in enumerate(facts, 1)
    ]  # fmt: skip


class Mapped:
    """What the agencies' mappings make of what is told, record by record: facts that come, change and go, as the connectors say them."""

    def __init__(self, agencies: Mapping[str, Agency]) -> None:
        self._agencies = agencies
        self._known: dict[tuple[str, ...], dict[tuple[str, str], Event]] = {}
        #: Records of each agency that were refused.
        self.refused: dict[str, int] = {}

    def facts(self, world: World) -> Iterator[Fact]:
        """Of the whole world. Raises for a record that is refused and ought not to be, and for one that is let through."""
        for told in world.told:
            facts, error = self._tried(told)
            assert (error is not None) == told.telling.refused, (
                f"{told.agency}/{told.telling.source}: {error or 'let through'}: {told.telling.record}"
            )
            self.refused[told.agency] = self.refused.get(told.agency, 0) + told.telling.refused
            yield from facts

    def _tried(self, told: Told) -> tuple[Sequence[Fact], RecordError | None]:
        try:
            return list(self._told(told)), None
        except RecordError as error:
            return (), error

    def _told(self, told: Told) -> Iterator[Fact]:
        agency, telling = self._agencies[told.agency], told.telling
        spec, meaning = agency.manifest.sources[telling.source], agency.meaning(telling.source)
        record = as_json(telling.record)
        if isinstance(spec, FilesSpec):
            assert all(isinstance(value, str) for value in record.values()), record
        deleted = getattr(spec, "deleted", None)
        gone = telling.gone or (deleted is not None and deleted.holds(record.get(deleted.field)))
        new = {} if gone else {(event.type, event.subject): event for event in map_values(meaning, record)}
        if not spec.key and meaning.key_of is None:  # nothing that is said again takes the place of anything
            yield from (Fact(event) for event in new.values())
            return
        texts: Any = record
        key = meaning.key_of(texts) if meaning.key_of is not None else [str(record[name]) for name in spec.key]
        old = self._known.get(place := (told.agency, telling.source, *key), {})
        yield from (Fact(event, Op.CANCEL) for subject, event in old.items() if subject not in new)
        yield from (Fact(event, Op.CORRECT if subject in old else Op.CREATE) for subject, event in new.items() if old.get(subject) != event)
        self._known[place] = new


def unlike(found: Mapping[Cell, Output], wanted: Rows, *, closing: bool) -> list[str]:
    """Where published numbers are not those of the truth: value, numerator and denominator, n and label of every row that somebody is in.

    Of closings what stood in a window is compared: a state between two polls, which nobody saw, leaves a row in the truth that repeats one.
    """
    lines = []
    for cell in sorted({*found, *wanted}, key=str):
        output, row = (_standing(found, cell), _standing(wanted, cell)) if closing else (found.get(cell), wanted.get(cell))
        if not (output is not None and output.n) and not (row is not None and row.n):
            continue
        if output is None or row is None:
            lines.append(f"{cell}: {output} is not {row}")
            continue
        row = as_of(row, output.as_of_us)
        same = close(output.value, row.value, row.within) and (output.n, output.label) == (row.n, row.label)
        if not same or not (row.within or same_quotient(output, row.numerator, row.denominator)):
            lines.append(f"{cell}: {output} is not {row}")
    return lines


_R = TypeVar("_R")


def _standing(rows: Mapping[Cell, _R], cell: Cell) -> _R | None:
    """The newest row of these dimensions that is not after the cell's window."""
    if cell in rows:
        return rows[cell]
    starts = [start for start, dims in rows if dims == cell[1] and start <= cell[0]]
    return rows[max(starts), cell[1]] if starts else None
