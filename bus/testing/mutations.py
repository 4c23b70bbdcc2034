"""What a source might change tomorrow, tried on today's samples: a mapping that lets a change pass would falsify numbers in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from bus.errors import Problem, RecordError, SourceChanged
from bus.events.envelope import Event
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Meaning
from bus.ingest.privacy.marks import texts_of
from bus.ingest.privacy.models import dropped_fields, personal_fields
from bus.testing.samples import Outcome, Sample, map_values, plain_event

_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")
_UNKNOWN_FIELD = "kolom_baru_x7"
_UNKNOWN_VALUE = "NILAI-TAK-DIKENAL-X7"
#: Changes of a value, which any refusal answers; of a field only `SourceChanged` does.
_ANY_REFUSAL = ("an unknown value", "a list", "an object", "a boolean", "a number")


def mutations_of(sample: Sample) -> Iterator[Problem]:
    """Each way in which a changed record of the sample got through."""
    meaning = sample.agency.meaning(sample.source_id)
    typed = not isinstance(sample.agency.manifest.sources[sample.source_id], FilesSpec)
    dropped = dropped_fields(meaning.to_events)
    seen: set[str] = set()
    for outcome in sample.accepted():
        for what, values in _changes(dict(outcome.record.values) if outcome.record else {}, typed=typed):
            if what.startswith(_ANY_REFUSAL) and what.split(" in field ")[-1].split(".")[-1] in dropped:
                continue  # whatever it says, nobody reads it
            if (passed := _passes(meaning, outcome, what, values)) and what not in seen:
                seen.add(what)
                yield Problem(f"{sample.path}:{outcome.line}", f"{what} {passed}")


def _changes(values: dict[str, object], where: str = "", *, typed: bool) -> Iterator[tuple[str, dict[str, object]]]:
    yield f"an unknown field{' in ' + where if where else ''}", values | {_UNKNOWN_FIELD: "1"}
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        yield f"without field {path}, the record", {key: kept for key, kept in values.items() if key != name}
        yield f"an unknown value in field {path}", values | {name: _UNKNOWN_VALUE}
        for kind, wrong in _wrong_types(value) if typed else ():
            yield f"{kind} in field {path}", values | {name: wrong}
        for what, inner in _inside(value, path):
            yield what, values | {name: inner}


def _wrong_types(value: object) -> Iterator[tuple[str, object]]:
    """Values of other types than the sample's, in sources that have types: what files hold is text. A number for a number written as text
    is no other type, for both say the same."""
    if value is None:
        return
    yield "a list", [[_UNKNOWN_VALUE]]
    yield "an object", {_UNKNOWN_FIELD: _UNKNOWN_VALUE}
    if not isinstance(value, bool):
        yield "a boolean", True
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        yield "a number", 7


def _inside(value: object, path: str) -> Iterator[tuple[str, object]]:
    """The same changes inside an object, and inside the first object of a list."""
    if isinstance(value, dict):
        yield from _changes(value, path, typed=True)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for what, first in _changes(value[0], f"{path}[0]", typed=True):
            yield what, [first, *value[1:]]


def _passes(meaning: Meaning, outcome: Outcome, what: str, values: Mapping[str, object]) -> str:
    """How the change got through; nothing when it was refused, or when free text arrived as it is."""
    try:
        events = map_values(meaning, values)
    except SourceChanged:
        return ""
    except RecordError as error:
        return "" if what.startswith(_ANY_REFUSAL) else f"raises {type(error).__name__}, not SourceChanged"
    except Exception as error:  # noqa: BLE001 (whatever a mapping raises, it must be a RecordError)
        return f"raises {type(error).__name__}; a mapping raises RecordError or SourceChanged"
    if what.startswith("an unknown value") and _arrived(meaning, values, events):
        return ""
    return "passes unnoticed" if events == outcome.events else "changes the events without being refused"


def _arrived(meaning: Meaning, values: Mapping[str, object], events: Iterable[Event]) -> bool:
    """Whether the unknown value, being free text or an identifier, stands in the events: as it is, or behind a mark."""
    if _UNKNOWN_VALUE in str([plain_event(event) for event in events]):
        return True
    return any(_UNKNOWN_VALUE in text for event in meaning.to_events(values) for text in texts_of([event.subject, event.data]))


def leaks_of(sample: Sample) -> Iterator[Problem]:
    """Each personal field whose value stands in the error that refuses it."""
    meaning = sample.agency.meaning(sample.source_id)
    for outcome in sample.accepted()[:1]:
        assert outcome.record is not None
        for field in sorted(personal_fields(meaning.to_events) & outcome.record.values.keys()):
            try:
                map_values(meaning, {**outcome.record.values, field: _UNKNOWN_VALUE})
            except RecordError as error:
                if _UNKNOWN_VALUE in f"{error} {error.received} {error.allowed} {error.field} {error.__cause__}":
                    yield Problem(str(sample.path), f"the error about the personal field {field} shows its value; allowed is its shape")
