"""Strict reading of one record by an agency's pydantic model; its errors become ours, without the values that they quote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bus.errors import RecordError, SourceChanged
from bus.ingest.messages import clip, shape_of

M = TypeVar("M", bound=BaseModel)

_RANGE = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal", "string_too_long", "string_too_short"})
_LIST = frozenset({"literal_error", "enum"})


def parse(model: type[M], record: Mapping[str, object]) -> M:
    """The record as `model`. Raises `SourceChanged` for an unknown or missing field or an unknown value, `RecordError` for any other.

    A model field with `json_schema_extra={"pii": …}` never has its value in the error, only its shape.
    """
    try:
        return model.model_validate(dict(record))
    except ValidationError as error:
        # not chained: the library's error prints the record's values
        raise _ours(model, error.errors(include_url=False)[0]) from None


def value_error(field: str, value: str, *, rule: str, allowed: str) -> RecordError:
    """The error of a mapping's own check on a declared field without `pii`."""
    kind = SourceChanged if rule in {"unknown_value", "unknown_field", "missing_field"} else RecordError
    return kind(f"{field}: {rule}", field=field, rule=rule, received=clip(value) or "(kosong/blank)", allowed=allowed)


def _ours(model: type[BaseModel], item: ErrorDetails) -> RecordError:
    field = ".".join(str(part) for part in item["loc"])
    kind = item["type"]
    if kind == "extra_forbidden":
        return SourceChanged(f"unknown field {clip(field)}", field=clip(field), rule="unknown_field", allowed=", ".join(model.model_fields))
    if kind == "missing":
        return SourceChanged(f"missing field {field}", field=field, rule="missing_field", allowed=", ".join(model.model_fields))
    rule = "unknown_value" if kind in _LIST else "out_of_range" if kind in _RANGE else "invalid_value"
    extra = model.model_fields[str(item["loc"][0])].json_schema_extra if item["loc"] and str(item["loc"][0]) in model.model_fields else None
    text = str(item["input"])
    received = shape_of(text) if isinstance(extra, dict) and extra.get("pii") else clip(text)
    context = item.get("ctx", {})
    allowed = str(context.get("expected", "")) or item["msg"]
    error = SourceChanged if rule == "unknown_value" else RecordError
    return error(f"{field}: {rule}", field=field, rule=rule, received=received, allowed=allowed)
