"""What one record after another would come to: its events, and the cells of which indicators they touch. No Kafka, no key of anybody.

The record goes through the agency's own mapping and a door with the keys of samples; its events are encoded and decoded, and each indicator
of their types folds them as a worker would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.errors import ConfigurationError, Problem, RecordError
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.indicators.batch import Batch
from bus.indicators.compose import AnyIndicator, CompositeIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from bus.ingest.manifest import Agency
from bus.ingest.messages import clip, describe, shape_of
from bus.ingest.privacy.models import personal_fields
from bus.ingest.source import Reason
from bus.testing.samples import Outcome, Sample, plain_event, samples_of


@dataclass(frozen=True, slots=True)
class Touched:
    """A cell that a record's events enter: the indicator, the columns that name the cell, and what the record alone makes of it."""

    indicator: str
    cell: Mapping[str, str]
    value: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What a record came to. `raw` shows personal fields by their shape only; `refused` is what its sender would read, in both languages."""

    line: int
    raw: Mapping[str, str]
    events: tuple[Mapping[str, object], ...] = ()
    touched: tuple[Touched, ...] = ()
    #: Composites that are made of the touched indicators.
    composites: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None


def chosen_sample(agency: Agency, name: str, source: str | None) -> Sample:
    """The sample of that name, or the file at that path. Raises `ConfigurationError` naming the samples and sources there are."""
    known = samples_of(agency)
    for sample in known:
        if name in {sample.path.name, f"{sample.source_id}/{sample.path.name}"} and source in {None, sample.source_id}:
            return sample
    sources = list(agency.manifest.sources)
    if not Path(name).is_file():
        names = ", ".join(f"{sample.source_id}/{sample.path.name}" for sample in known) or "none"
        raise ConfigurationError([Problem(name, f"is no file and no sample of {agency.id}; its samples are: {names}")])
    if source is None and len(sources) > 1:
        raise ConfigurationError([Problem("--source", f"say which source the file is of: {', '.join(sources)}")])
    if source is not None and source not in sources:
        raise ConfigurationError([Problem("--source", f"{source!r}; {agency.id} has {', '.join(sources)}")])
    return Sample(agency, source or sources[0], Path(name))


def tried(sample: Sample, codec: Codec, indicators: Mapping[str, AnyIndicator]) -> Iterator[Tried]:
    """Each record of the sample, in order."""
    personal = personal_fields(sample.agency.meaning(sample.source_id).to_events)
    declared = sample.agency.manifest.events
    for outcome in sample.outcomes():
        raw = _raw(outcome, personal)
        try:
            if outcome.refused is not None:
                raise outcome.refused
            for event in outcome.events:
                if event.type not in declared:
                    raise RecordError("undeclared", rule="undeclared_event", received=event.type, allowed=", ".join(declared))
            envelopes = [_envelope(sample, outcome.line, number, event) for number, event in enumerate(outcome.events)]
            values = [(envelope.event.type, codec.encode(envelope)[0]) for envelope in envelopes]
        except RecordError as error:
            yield Tried(outcome.line, raw, refused=describe(Reason.of(error), file=sample.path.name, line=outcome.line))
            continue
        touched = tuple(_touched(values, codec, indicators))
        leaves = {each.indicator for each in touched}
        composites = [each.id for each in indicators.values() if isinstance(each, CompositeIndicator) and leaves & set(each.leaves)]
        yield Tried(outcome.line, raw, tuple(map(plain_event, outcome.events)), touched, tuple(composites))


def _raw(outcome: Outcome, personal: frozenset[str]) -> dict[str, str]:
    values = outcome.record.values if outcome.record is not None else {}
    return {name: f"<{shape_of(str(value))}>" if name in personal else clip(str(value)) for name, value in values.items()}


def _envelope(sample: Sample, line: int, number: int, event: Event) -> Envelope:
    place = sequence_of(1, line, number)
    source = sample.agency.source_name(sample.source_id)
    return Envelope(event, source, place, place, Op.CREATE, f"{source}/1")


def _touched(values: Sequence[tuple[str, bytes]], codec: Codec, indicators: Mapping[str, AnyIndicator]) -> Iterator[Touched]:
    for name in dict.fromkeys(name for name, _ in values):
        own = [value for each, value in values if each == name]
        batch = Batch(codec.decode_batch(name, own, list(range(len(own)))), 0, len(own) - 1)
        for leaf in indicators.values():
            if isinstance(leaf, Indicator) and leaf.event_type == name:
                yield from _cells(leaf, batch)


def _cells(leaf: Indicator, batch: Batch) -> Iterator[Touched]:
    unit, merge = FoldUnit.new(leaf, leaf.topic, 0, 1), MergeUnit.new(0)
    partials = [unit.full_partial(), unit.apply(batch)]
    records = [record for partial in partials if partial is not None for record in encode(partial)]
    outputs = list(merge.apply(list(enumerate(records))))
    if leaf.kind == "register":
        yield Touched(leaf.id, {}, "compared, not published")
        return
    header, rows = export_rows(outputs)
    named = [*(column for column in ("window_start", "window_end") if column in header), *leaf.definition["dims"]]
    for row in rows:
        values = dict(zip(header, row, strict=True))
        yield Touched(leaf.id, {name: values[name] for name in named if values.get(name)}, values.get("value", ""))
