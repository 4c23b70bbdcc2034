"""Samples of an agency: `samples/<source>/<file>` as the agency sends it, and beside it `<file>.expected.json`, what it means.

Of a source that does not read files a sample holds the records as JSON, one a line.

The expectation is a list in the order of the file: {"line": 2, "events": [{"type", "subject", "occurred_at", "data"}]} for an accepted
record, {"line": 3, "refused": {"rule", "field"}} for one that must go to quarantine. A refused whole file is one entry with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from bus.errors import ConfigurationError, Problem, RecordError
from bus.events.envelope import Event
from bus.ingest.files import Seen, examine
from bus.ingest.formats.opening import open_records
from bus.ingest.intake import read_again
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Agency, Meaning
from bus.ingest.privacy.door import sample_door
from bus.ingest.source import BadRecord, FileRefused, RawRecord

SUFFIX = ".expected.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one record of a sample came to: events, or the error that refused it."""

    line: int
    record: RawRecord | None
    events: tuple[Event, ...] = ()
    refused: RecordError | None = None

    def plain(self) -> dict[str, object]:
        """As the expectation file has it."""
        if self.refused is not None:
            return {"line": self.line, "refused": {"rule": self.refused.rule, "field": self.refused.field}}
        return {"line": self.line, "events": [plain_event(event) for event in self.events]}


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample file of one source."""

    agency: Agency
    source_id: str
    path: Path

    @property
    def expectation(self) -> Path:
        return self.path.with_name(self.path.name + SUFFIX)

    def expected(self) -> list[Mapping[str, object]]:
        """What the file is to come to. Raises `ConfigurationError` when there is no such expectation."""
        try:
            found = json.loads(self.expectation.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError([Problem(str(self.expectation), f"cannot be read: {error}")]) from error
        if not isinstance(found, list):
            raise ConfigurationError([Problem(str(self.expectation), "is not a list of records")])
        return found

    def outcomes(self) -> list[Outcome]:
        """Every record of the file, read and mapped as the connector does it."""
        meaning = self.agency.meaning(self.source_id)
        spec = self.agency.manifest.sources[self.source_id]
        if not isinstance(spec, FilesSpec):
            lines = enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1)
            return [_outcome(meaning, read_again(text, line)) for line, text in lines if text.strip()]
        info = self.path.stat()
        facts = examine(Seen(self.path, info.st_size, info.st_mtime_ns), encoding=spec.encoding)
        if facts.problem is not None:
            return [Outcome(0, None, refused=RecordError(facts.problem.rule, rule=facts.problem.rule))]
        try:
            with self.path.open("rb") as stream:
                records = open_records(stream, spec, name=self.path.name, encoding=facts.encoding)
                return [_outcome(meaning, item) for item in records]
        except FileRefused as error:
            return [Outcome(error.line, None, refused=error)]

    def accepted(self) -> list[Outcome]:
        """Those that came to events."""
        return [outcome for outcome in self.outcomes() if outcome.refused is None]


def map_values(meaning: Meaning, values: Mapping[str, object]) -> tuple[Event, ...]:
    """The events of one record as they leave the door, with the keys of samples. Raises what the mapping raises."""
    door = sample_door()
    return tuple(door(event) for event in meaning.to_events(values))


def plain_event(event: Event) -> dict[str, object]:
    """An event as an expectation file has it."""
    return {"type": event.type, "subject": event.subject, "occurred_at": event.occurred_at.isoformat(), "data": _plain(event.data)}


def _plain(value: object) -> object:
    """A value as JSON has it: times and days as ISO texts, decimals as texts, so that no digit is lost."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bytes():
            return value.hex()
    return value


def samples_of(agency: Agency) -> list[Sample]:
    """The sample files of all sources, by name."""
    return [
        Sample(agency, source_id, path)
        for source_id in sorted(agency.manifest.sources)
        for path in sorted((agency.folder / "samples" / source_id).glob("*"))
        if path.is_file() and not path.name.endswith(SUFFIX)
    ]


def _outcome(meaning: Meaning, item: RawRecord | BadRecord) -> Outcome:
    if isinstance(item, BadRecord):
        return Outcome(item.line, None, refused=RecordError(item.reason.rule, field=item.reason.field, rule=item.reason.rule))
    try:
        return Outcome(item.line, item, map_values(meaning, item.values))
    except RecordError as error:
        return Outcome(item.line, item, refused=error)


def write_expectations(samples: Iterable[Sample]) -> None:
    """Write what the samples come to now; a person then reads the difference before it is committed."""
    for sample in samples:
        text = json.dumps([outcome.plain() for outcome in sample.outcomes()], ensure_ascii=False, indent=1)
        sample.expectation.write_text(text + "\n", encoding="utf-8")
