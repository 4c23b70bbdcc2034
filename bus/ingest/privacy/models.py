"""Which fields of a mapping's models are personal: those of an `Identifier` type, and those that `json_schema_extra={"pii": …}` marks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from functools import cache
from types import ModuleType
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bus.ingest.privacy.marks import Identifier
from bus.ingest.source import KeyOf


def pii_of(model: type[BaseModel], field: str) -> str:
    """ "direct", "quasi" or nothing. A field is named as in the model, or by its alias."""
    for name, info in model.model_fields.items():
        if field in {name, info.alias, info.validation_alias}:
            return _pii(info)
    return ""


def personal_fields(to_events: Callable[..., object], kind: str = "") -> frozenset[str]:
    """The personal fields (of that kind; none: of any) of all models in a mapping's module, as the source names them."""
    return _fields_of(to_events, kind)


def dropped_fields(to_events: Callable[..., object]) -> frozenset[str]:
    """The fields that the models know and nobody reads."""
    models = _models(sys.modules.get(getattr(to_events, "__module__", "")))
    fields = [item for model in models for item in model.model_fields.items()]
    return frozenset(
        alias
        for name, info in fields
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("dropped")
        for alias in (name, info.alias, info.validation_alias)
        if isinstance(alias, str)
    )


@cache
def _fields_of(to_events: Callable[..., object], kind: str) -> frozenset[str]:
    found = set()
    for model in _models(sys.modules.get(getattr(to_events, "__module__", ""))):
        for name, info in model.model_fields.items():
            pii = _pii(info)
            if pii and kind in {"", pii}:
                found |= {alias for alias in (name, info.alias, info.validation_alias) if isinstance(alias, str)}
    return frozenset(found)


def hidden_places(to_events: Callable[..., object], key_of: KeyOf | None, columns: Sequence[str], count: int) -> Collection[int]:
    """Which parts of a record's key may identify somebody: the columns that do; all of what `key_of` makes where any field does."""
    direct = personal_fields(to_events, "direct")
    if key_of is not None:
        return range(count) if direct else ()
    return [place for place, column in enumerate(columns) if column in direct] if direct else ()


def _pii(info: FieldInfo) -> str:
    if isinstance(info.json_schema_extra, dict) and (said := info.json_schema_extra.get("pii")):
        return str(said)
    return "direct" if _identifies(info.annotation) else ""


def _identifies(annotation: object) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, Identifier)
    return any(map(_identifies, get_args(annotation)))


def _models(module: ModuleType | None) -> list[type[BaseModel]]:
    return (
        [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseModel)] if module is not None else []
    )
