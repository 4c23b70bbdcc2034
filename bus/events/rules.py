"""Conformance rules K01-K07 and K09 for schemas: plain functions from one schema file to its problems.

Each rule looks at its own matter only and is silent where an earlier rule already fails, so that one fault is one finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from bus.errors import BusError, ConfigurationError, Problem
from bus.events.avro import Json, UnsupportedType, fields_of, fingerprint_of, node_of
from bus.events.batches import NotHot, decode_hot, decode_reference
from bus.events.catalogue import CHANGED, Catalogue, build, name_of
from bus.events.codec import FRAME, Codec
from bus.events.compatibility import transitive_incompatibilities
from bus.events.lock import Release, newest, read_lock
from bus.events.personal import CLASSES
from bus.events.sample import sample_event, sample_values
from bus.events.schema import EventSchema, envelope_problems, full_name, record_problems

#: Words in a field's name that say it is money, and endings that say it is a time.
_MONEY = frozenset({"amount", "price", "cost", "budget", "rupiah", "rp", "harga", "nilai_rp", "anggaran", "biaya", "tax", "pajak"})
_TIMES = ("_at", "_date", "_time", "_on")
_TIME_NAMES = frozenset({"date", "time", "timestamp", "datetime", "tanggal", "waktu"})


@dataclass(frozen=True)
class SchemaSubject:
    """A schema file under examination: `path` lies in the schemas folder `root`."""

    root: Path
    path: Path

    @property
    def id(self) -> str:
        """Its name in reports, e.g. `events/dlh/air_quality.recorded.v1`."""
        return self.path.relative_to(self.root).as_posix().removesuffix(".avsc")

    @cached_property
    def name(self) -> str | None:
        """The name that the path gives the schema, or None when it gives none."""
        try:
            return name_of(self.path.relative_to(self.root))
        except ValueError:
            return None

    @cached_property
    def avro(self) -> dict[str, Json] | None:
        """The record in the file, or None when there is none."""
        try:
            avro = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return avro if isinstance(avro, dict) and avro.get("type") == "record" else None

    @cached_property
    def releases(self) -> Sequence[Release]:
        """Its releases in the lock file, oldest first; none when the lock cannot be read."""
        try:
            return [release for release in read_lock(self.root) or () if release.name == self.name]
        except ConfigurationError:
            return []


def subjects(roots: Sequence[Path]) -> list[SchemaSubject]:
    """Every schema file of the folders."""
    return [SchemaSubject(root, path) for root in roots for path in sorted(root.rglob("*.avsc"))]


def parses(subject: SchemaSubject) -> Iterator[Problem]:
    """K01: the file is JSON and holds one Avro record that Avro itself accepts."""
    if subject.avro is None:
        try:
            json.loads(subject.path.read_text(encoding="utf-8"))
            yield _problem(subject, "must hold one Avro record", "K01")
        except (OSError, ValueError) as error:
            yield _problem(subject, f"not JSON: {error}", "K01")
        return
    if _types_fit(subject.avro):
        for what in record_problems(subject.avro, full_name(subject.avro)):
            yield _problem(subject, what, "K01")


def path_is_name(subject: SchemaSubject) -> Iterator[Problem]:
    """K02: path, Avro full name and event type are one name, and an event begins with the envelope's fields."""
    if subject.name is None:
        yield _problem(subject, "the path is not events/<agency>/<subject>.<action>.v<N>.avsc or bus/<name>.v<N>.avsc", "K02")
    elif subject.avro is not None:
        if full_name(subject.avro) != subject.name:
            yield _problem(subject, f"the record's full name is {full_name(subject.avro)!r}, the path says {subject.name!r}", "K02")
        if not subject.name.startswith("bus."):
            for what in envelope_problems(subject.avro):
                yield _problem(subject, what, "K02")


def documented(subject: SchemaSubject) -> Iterator[Problem]:
    """K03: the record and each field, at every depth, say in `doc` what they mean."""
    if subject.avro is None:
        return
    if not str(subject.avro.get("doc") or "").strip():
        yield _problem(subject, "the record has no doc", "K03")
    for path, field in fields_of(subject.avro):
        if not str(field.get("doc") or "").strip():
            yield _problem(subject, f"field {path} has no doc", "K03")


def released_unchanged(subject: SchemaSubject) -> Iterator[Problem]:
    """K04: the file is the newest release of the lock file beside it. Words in `doc` may be improved, nothing else."""
    if subject.avro is None or subject.name is None:
        return
    try:
        releases = read_lock(subject.root)
    except ConfigurationError as error:
        yield from error.problems
        return
    if releases is None:
        return
    pinned = newest(releases).get(subject.name)
    if pinned is None:
        yield _problem(subject, "has no id yet: run `bus schemas lock` and commit the lock file", "K04")
    elif pinned.fingerprint != fingerprint_of(subject.avro):
        yield _problem(subject, CHANGED, "K04")


def compatible(subject: SchemaSubject) -> Iterator[Problem]:
    """K05: every two releases read each other, and the file reads them all: FULL_TRANSITIVE, by structure."""
    if subject.avro is None or not _types_fit(subject.avro):
        return
    history = [release.schema for release in subject.releases]
    if history and fingerprint_of(history[-1]) != fingerprint_of(subject.avro):
        history.append(subject.avro)
    for what in transitive_incompatibilities(history):
        yield _problem(subject, what, "K05")


def numbers_and_times(subject: SchemaSubject) -> Iterator[Problem]:
    """K06: only types that the bus carries; money is long with a scale, times are timestamp-micros, days are dates; enums have a default."""
    if subject.avro is None:
        return
    try:
        node_of(subject.avro)
    except UnsupportedType as error:
        yield _problem(subject, str(error), "K06")
        return
    for path, field in fields_of(subject.avro):
        for what in _field_problems(str(field.get("name")), field):
            yield _problem(subject, f"field {path}: {what}", "K06")


def personal_fields_are_safe(subject: SchemaSubject) -> Iterator[Problem]:
    """K09: what names a person is a pseudonym; what says much of one is sealed or was made coarse; each says so in the schema."""
    if subject.avro is None or not _types_fit(subject.avro):
        return
    for path, field in fields_of(subject.avro):
        for what in _personal_problems(field):
            yield _problem(subject, f"field {path}: {what}", "K09")


def _personal_problems(field: Mapping[str, Json]) -> Iterator[str]:
    pii, sealed, generalised = field.get("pii"), field.get("sealed"), field.get("generalised")
    node = node_of(field["type"])
    kind = node.items.kind if node.kind == "array" and node.items is not None else node.kind
    if pii not in {None, "direct", "quasi"}:
        yield f'pii is "direct" or "quasi", not {json.dumps(pii)}'
    if field.get("class") not in {None, *CLASSES}:
        yield f"class is one of {', '.join(CLASSES)}, not {json.dumps(field.get('class'))}"
    if pii == "direct" and kind != "string":
        yield f"a direct identifier as {kind}; allowed: string, which holds its pseudonym"
    if pii == "quasi" and (sealed is True) == bool(generalised):
        yield 'a quasi identifier is either {"sealed": true} or says in "generalised" how it was made coarse (age band, year, desa)'
    if pii != "quasi" and (sealed is not None or generalised is not None):
        yield 'sealed and generalised belong to fields with "pii": "quasi"'
    if sealed is not None and (sealed is not True or kind != "string"):
        yield "sealed is true, on a string"
    if generalised is not None and not (isinstance(generalised, str) and generalised.strip()):
        yield "generalised is a text: how it was made coarse"
    if field.get("phone_like") not in {None, True} or (field.get("phone_like") and (kind != "string" or pii is not None)):
        yield "phone_like is true, on a string of codes that is not personal"


def _field_problems(name: str, field: Mapping[str, Json]) -> Iterator[str]:
    node = node_of(field["type"], cast("int | None", field.get("scale")))
    words = set(name.split("_"))
    if node.kind == "float":
        yield "float loses digits; allowed: double, or long with a scale"
    elif words & _MONEY and node.kind in {"double", "int", "string"}:
        yield f'money as {node.kind}; allowed: {{"type": "long", "scale": <decimal places>}}'
    elif words & _MONEY and node.kind == "long" and node.scale is None:
        yield "money as long needs a scale (0 for whole rupiah)"
    if (name in _TIME_NAMES or name.endswith(_TIMES)) and node.kind not in {"timestamp", "date"}:
        yield f"a time as {node.kind}; allowed: timestamp-micros (long) or date (int)"
    if node.scale is not None and node.kind != "long":
        yield f"scale on {node.kind}; it belongs on long"
    if node.kind == "enum" and node.enum_default is None:
        yield "the enum needs a default, or no symbol can ever be added"


def sample_round_trips(subject: SchemaSubject) -> Iterator[Problem]:
    """K07: generated samples encode, and decode to themselves: one by one, and as a batch on each path that applies."""
    if subject.avro is None or subject.name is None or record_problems(subject.avro, subject.name):
        return
    schema = build(subject.name, subject.avro, 1)
    if isinstance(schema, EventSchema) and envelope_problems(subject.avro):
        return
    codec = Codec(Catalogue([schema]))
    try:
        for number in range(6):
            value, headers, expected = _encoded(codec, schema.name, number)
            decoded = codec.decode(value, headers)
            if any(decoded[name] != expected_value for name, expected_value in expected.items()):
                yield _problem(subject, f"generated sample {number} does not decode to itself", "K07")
        data = [_encoded(codec, schema.name, number)[0][FRAME:] for number in range(6)]
        if schema.hot and not decode_hot(schema, data).equals(decode_reference(schema, data)):
            yield _problem(subject, "the two decoders read the generated samples differently", "K07")
    except (BusError, NotHot) as error:
        yield _problem(subject, f"a generated sample does not round-trip: {error}", "K07")


def _encoded(codec: Codec, name: str, number: int) -> tuple[bytes, tuple[tuple[str, bytes], ...], Mapping[str, object]]:
    schema = codec.catalogue.schema(name)
    if isinstance(schema, EventSchema):
        envelope = sample_event(schema, number)
        return *codec.encode(envelope), dict(envelope.event.data)
    values = sample_values(schema, number)
    return *codec.encode_record(name, values), values


def _types_fit(avro: dict[str, Json]) -> bool:
    try:
        node_of(avro)
    except UnsupportedType:
        return False
    return True


def _problem(subject: SchemaSubject, what: str, rule: str) -> Problem:
    return Problem(str(subject.path), what, rule)


#: Number -> (title, rule), for the conformance kit to register.
RULES: Mapping[str, tuple[str, Callable[[SchemaSubject], Iterable[Problem]]]] = {
    "K01": ("the schema parses", parses),
    "K02": ("path = name, and events begin with the envelope", path_is_name),
    "K03": ("docs everywhere", documented),
    "K04": ("released files are unchanged", released_unchanged),
    "K05": ("releases of a major are compatible in both directions, all with all", compatible),
    "K06": ("numbers and times have the bus's types", numbers_and_times),
    "K07": ("a generated sample round-trips", sample_round_trips),
    "K09": ("direct identifiers are pseudonyms, quasi identifiers are sealed or generalised", personal_fields_are_safe),
}
