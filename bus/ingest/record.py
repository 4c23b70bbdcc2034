"""Strict reading of one record by an agency's pydantic model; its errors become ours, without the values that they quote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bus.errors import RecordError, SourceChanged
from bus.ingest.messages import clip, shape_of_value
from bus.ingest.privacy.models import pii_of

M = TypeVar("M", bound=BaseModel)

_RANGE = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal", "string_too_long", "string_too_short"})
_LIST = frozenset({"literal_error", "enum"})
#: So many faults of one record are named; whoever has more has another format.
_MOST_ERRORS = 100


def parse(model: type[M], record: Mapping[str, object]) -> M:
    """The record as `model`. Raises `SourceChanged` for an unknown or missing field or an unknown value, `RecordError` for any other; the
    error of the first field that is wrong carries those of the others.

    A model field with `json_schema_extra={"pii": …}` never has its value in the error, only its shape.
    """
    try:
        return model.model_validate(dict(record))
    except ValidationError as error:
        first, *others = (_ours(model, item) for item in error.errors(include_url=False)[:_MOST_ERRORS])
        first.others = tuple(others)
        # not chained: the library's error prints the record's values
        raise first from None


def listed(field: str, received: str, tables: Mapping[str, Mapping[str, str]]) -> str:
    """The code that an agency's table of the field has for what its system says, whatever the case. Raises `SourceChanged` for what is not in it."""
    table = tables[field]
    code = table.get(received.strip().upper())
    if code is None:
        raise value_error(field, received, rule="unknown_value", allowed=", ".join(table))
    return code


def value_error(field: str, value: str, *, rule: str, allowed: str) -> RecordError:
    """The error of a mapping's own check on a declared field without `pii`."""
    kind = SourceChanged if rule in {"unknown_value", "unknown_field", "missing_field"} else RecordError
    return kind(f"{field}: {rule}", field=field, rule=rule, received=clip(value) or "(kosong/blank)", allowed=allowed)


def _ours(model: type[BaseModel], item: ErrorDetails) -> RecordError:
    field = clip(".".join(str(part) for part in item["loc"]))
    kind = item["type"]
    if kind == "extra_forbidden":
        return SourceChanged(f"unknown field {field}", field=field, rule="unknown_field", allowed=", ".join(model.model_fields))
    if kind == "missing":
        return SourceChanged(f"missing field {field}", field=field, rule="missing_field", allowed=", ".join(model.model_fields))
    rule = "unknown_value" if kind in _LIST else "out_of_range" if kind in _RANGE else "invalid_value"
    received = clip(str(item["input"])) if _may_be_shown(model, item) else shape_of_value(item["input"])
    context = item.get("ctx", {})
    allowed = str(context.get("expected", "")) or item["msg"]
    error = SourceChanged if rule == "unknown_value" else RecordError
    return error(f"{field}: {rule}", field=field, rule=rule, received=received, allowed=allowed)


def _may_be_shown(model: type[BaseModel], item: ErrorDetails) -> bool:
    """Only a single value of a field of the record itself: an object, or a place inside one, may hold anything about a person."""
    declared = model.model_fields.get(str(item["loc"][0])) if len(item["loc"]) == 1 else None
    if declared is None or isinstance(item["input"], dict | list):
        return False
    return not pii_of(model, str(item["loc"][0]))
