"""What an indicator may read of personal data (I09): pseudonyms to tell persons apart, quasi identifiers only when they were made coarse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from bus.errors import Problem
from bus.events.schema import EventSchema, Field
from bus.indicators.expression import parse_all
from bus.indicators.spec import Spec
from bus.indicators.typed import ExpressionError

#: Where each value of an expression becomes a row, or stands in one.
_SHOWN = ("by", "region", "reporter")
#: Measures that only tell values apart.
_COUNTED = ("distinct", "register")


def expressions_of(spec: Spec) -> Iterator[tuple[str, str]]:
    """(key, text) of every expression in the file."""
    yield from ((f"by.{name}", text) for name, text in spec.dimensions.items())
    yield from ((key, text) for key in ("where", "region", "reporter") if (text := getattr(spec, key)) is not None)
    for name in ("of", "numerator", "denominator", "weight", "fields"):
        value = getattr(spec.measure, name, None)
        yield from ((f"measure.{name}", text) for text in ([value] if isinstance(value, str) else value or ()))
    if spec.clock is not None:
        yield from ((f"clock.{name}", text) for name in ("status", "limit") if (text := getattr(spec.clock, name, None)))


def columns_read(text: str) -> frozenset[str]:
    """The columns that an expression names; none where it cannot be read, which compiling tells."""
    try:
        trees = parse_all(text)
    except ExpressionError:
        return frozenset()
    return frozenset(column.name for tree in trees if tree is not None for column in tree.find_all(exp.Column))


def fields_read(spec: Spec) -> frozenset[str]:
    """Every column of its event that an indicator's numbers depend on."""
    return frozenset(name for _, text in expressions_of(spec) for name in columns_read(text))


def privacy_problems(spec: Spec, event: EventSchema, where: str) -> Iterator[Problem]:
    """What the indicator reads that it may not."""
    kind = spec.measure.kind if spec.measure is not None else ""
    personal = any(field.pii == "direct" for field in event.fields.values())
    for key, text in expressions_of(spec):
        for name in sorted(columns_read(text) & event.fields.keys()):
            field = event.fields[name]
            if field.pii == "direct" or (name == "subject" and personal):
                what = _of_a_pseudonym(key, kind)
            else:
                what = _of_a_quasi_field(field) if field.pii == "quasi" else ""
            if what:
                yield Problem(f"{where}: {key}", f"{text!r}: {name} {what}", "I09")


def _of_a_pseudonym(key: str, kind: str) -> str:
    if key.partition(".")[0] in _SHOWN:
        return "names a person: a row for each would publish them one by one"
    if key.startswith("measure.") and kind not in _COUNTED:
        return f"is a pseudonym, which can only be told apart; a measure takes it as {' or '.join(_COUNTED)}"
    return ""


def _of_a_quasi_field(field: Field) -> str:
    if field.sealed:
        return "is sealed: nobody but the connector's key store can read it"
    return (
        ""
        if field.generalised
        else "says much of a person and was not made coarse; generalise it in the mapping, and say how in the schema"
    )


def unread_fields(event: EventSchema, specs: Mapping[str, Spec]) -> list[str]:
    """The quasi fields that stand in clear though no indicator reads them."""
    read = {name for spec in specs.values() if spec.event == event.name for name in fields_read(spec)}
    return [name for name, field in event.fields.items() if field.pii == "quasi" and not field.sealed and name not in read]
