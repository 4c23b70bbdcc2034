"""What a source might change tomorrow, tried on today's samples: a mapping that lets a change pass would falsify numbers in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

from pydantic import BaseModel

from bus.errors import Problem, RecordError, SourceChanged
from bus.ingest.manifest import Meaning
from bus.testing.samples import Outcome, Sample, map_values, plain_event

_UNKNOWN_FIELD = "kolom_baru_x7"
_UNKNOWN_VALUE = "NILAI-TAK-DIKENAL-X7"


def mutations_of(sample: Sample) -> Iterator[Problem]:
    """Each way in which a changed record of the sample got through."""
    meaning = sample.agency.meaning(sample.source_id)
    seen: set[str] = set()
    for outcome in sample.accepted():
        for what, values in _changed(outcome):
            if (passed := _passes(meaning, outcome, what, values)) and what not in seen:
                seen.add(what)
                yield Problem(f"{sample.path}:{outcome.line}", f"{what} {passed}")


def _changed(outcome: Outcome) -> Iterator[tuple[str, dict[str, object]]]:
    assert outcome.record is not None
    values: dict[str, object] = dict(outcome.record.values)
    yield "an unknown field", values | {_UNKNOWN_FIELD: "1"}
    for name in values:
        yield f"without field {name}, the record", {key: value for key, value in values.items() if key != name}
        yield f"an unknown value in field {name}", values | {name: _UNKNOWN_VALUE}


def _passes(meaning: Meaning, outcome: Outcome, what: str, values: Mapping[str, object]) -> str:
    """How the change got through; nothing when it was refused, or when free text arrived as it is."""
    try:
        events = map_values(meaning, values)
    except SourceChanged:
        return ""
    except RecordError as error:
        return "" if what.startswith("an unknown value") else f"raises {type(error).__name__}, not SourceChanged"
    except Exception as error:  # noqa: BLE001 (whatever a mapping raises, it must be a RecordError)
        return f"raises {type(error).__name__}; a mapping raises RecordError or SourceChanged"
    if what.startswith("an unknown value") and _UNKNOWN_VALUE in str([plain_event(event) for event in events]):
        return ""
    return "passes unnoticed" if events == outcome.events else "changes the events without being refused"


def leaks_of(sample: Sample) -> Iterator[Problem]:
    """Each personal field whose value stands in the error that refuses it."""
    meaning = sample.agency.meaning(sample.source_id)
    for outcome in sample.accepted()[:1]:
        assert outcome.record is not None
        for field in sorted(personal_fields(meaning) & outcome.record.values.keys()):
            try:
                map_values(meaning, {**outcome.record.values, field: _UNKNOWN_VALUE})
            except RecordError as error:
                if _UNKNOWN_VALUE in f"{error} {error.received} {error.allowed} {error.field} {error.__cause__}":
                    yield Problem(str(sample.path), f"the error about the personal field {field} shows its value; allowed is its shape")


def personal_fields(meaning: Meaning) -> set[str]:
    """Fields that the models of a mapping mark with `pii`."""
    module = sys.modules.get(getattr(meaning.to_events, "__module__", ""))
    found: set[str] = set()
    for model in _models(module):
        for name, field in model.model_fields.items():
            if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("pii"):
                found.add(name)
    return found


def _models(module: ModuleType | None) -> list[type[BaseModel]]:
    return (
        [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseModel)] if module is not None else []
    )
