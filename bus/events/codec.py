"""Events to Kafka values and back: Confluent framing, CloudEvents headers, strict Avro."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import cast

import fastavro
import polars as pl

from bus.errors import RecordError, SchemaMismatch, SchemaViolation
from bus.events.batches import UndecodableRecords, decode_data, read_datum
from bus.events.catalogue import Catalogue
from bus.events.envelope import ENVELOPE_FIELDS, Envelope, Event, Op
from bus.events.evolution import resolve_datum, resolve_frame
from bus.events.schema import Schema
from bus.events.validation import EARLIEST, LATEST, readable, wire_datum

Headers = tuple[tuple[str, bytes], ...]

#: Length of the framing before each datum: a zero byte and the schema id.
FRAME = 5
_prefix_of, _datum_of = itemgetter(slice(FRAME)), itemgetter(slice(FRAME, None))

__all__ = ["FRAME", "Codec", "Headers", "UndecodableRecords", "envelope_of"]


class Codec:
    """Encodes and decodes by the schemas of one catalogue.

    Guarantees: what was encoded decodes to the same (times in UTC); a batch decodes to what its records decode to one by one, on both
    paths; a record is never read by another schema than the one it names.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._schema_headers: dict[str, tuple[bytes, bytes]] = {}

    def encode(self, envelope: Envelope) -> tuple[bytes, Headers]:
        """The value and the headers of an event. Raises `SchemaViolation` for whatever does not fit its schema exactly."""
        event = envelope.event
        if event.type not in self.catalogue:
            raise SchemaViolation(
                f"event type {event.type!r} has no schema; there are: {', '.join(self.catalogue)}",
                field="type",
                rule="unknown_type",
                received=event.type,
                allowed=", ".join(self.catalogue),
            )
        schema = self.catalogue[event.type]
        _refuse_envelope(schema, envelope)
        values = dict(event.data)
        for name in ENVELOPE_FIELDS:
            if name in values:
                raise SchemaViolation(
                    f"{event.type}: payload field {name!r} has the name of an envelope field", field=name, rule="unknown_field",
                    received="an envelope field in the payload", allowed=", ".join(schema.payload_fields),
                )  # fmt: skip
        values.update(
            source=envelope.source, sequence=envelope.sequence, version=envelope.version, subject=event.subject,
            occurred_at=event.occurred_at, op=envelope.op.value, batch=envelope.batch,
        )  # fmt: skip
        value = _write(schema, wire_datum(schema, values))
        type_header, fingerprint = self._static_headers(schema)
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", envelope.id.encode()),
            ("ce_source", envelope.source.encode()),
            ("ce_type", type_header),
            ("ce_dataschema", fingerprint),
        )
        return value, headers

    def _static_headers(self, schema: Schema) -> tuple[bytes, bytes]:
        if schema.name not in self._schema_headers:
            self._schema_headers[schema.name] = (schema.name.encode(), schema.fingerprint.encode())
        return self._schema_headers[schema.name]

    def decode(self, value: bytes, headers: Headers = ()) -> dict[str, object]:
        """All fields of a record, as the current schema of its type has them; times aware in UTC, decimals as `Decimal`.

        Raises `SchemaMismatch` for an unknown id and when the header `ce_dataschema` or `ce_type` names another schema than the id;
        `RecordError` when the datum is not one of its schema.
        """
        writer = self._writer(value, dict(headers))
        reader = self.catalogue.schema(writer.name) if writer.name in self._names() else writer
        return self._readable(reader, resolve_datum(writer, reader, read_datum(writer, value[FRAME:])))

    def _names(self) -> Mapping[str, object]:
        return {**self.catalogue.types, **self.catalogue.internal}

    @staticmethod
    def _readable(schema: Schema, values: Mapping[str, object]) -> dict[str, object]:
        try:
            return {name: readable(field.node, values[name]) for name, field in schema.fields.items()}
        except OverflowError as error:
            raise RecordError(f"{schema.name}: a time outside of the years 1 to 9999", rule="undecodable") from error

    def _writer(self, value: bytes, headers: Mapping[str, bytes]) -> Schema:
        if len(value) < FRAME or value[0] != 0:
            raise RecordError(f"{len(value)} bytes without the framing (0x00 and a schema id of four bytes)", rule="undecodable")
        writer = self._by_prefix(value[:FRAME])
        fingerprint, name = headers.get("ce_dataschema"), headers.get("ce_type")
        if fingerprint is not None and fingerprint != writer.fingerprint.encode():
            raise _mismatch(writer, fingerprint)
        if name is not None and name != writer.name.encode():
            raise SchemaMismatch(
                f"schema id {writer.schema_id} is that of {writer.name}, the header ce_type names {name.decode(errors='replace')!r}"
            )
        return writer

    def _by_prefix(self, prefix: bytes) -> Schema:
        schema_id = int.from_bytes(prefix[1:], "big")
        writer = self.catalogue.by_id(schema_id)
        if writer is None:
            raise SchemaMismatch(
                f"schema id {schema_id} is not in the catalogue: this process knows older schemas than the writer, or another registry's"
            )
        return writer

    def encode_record(self, name: str, values: Mapping[str, object]) -> tuple[bytes, Headers]:
        """The value and the headers of one of the bus's own records (`catalogue.internal`), as strict as events."""
        schema = self.catalogue.schema(name)
        return _write(schema, wire_datum(schema, values, personal=False)), (("ce_dataschema", schema.fingerprint.encode()),)

    def decode_batch(
        self, type_name: str, values: Sequence[bytes], offsets: Sequence[int] | pl.Series, *, fingerprints: Sequence[bytes] | None = None
    ) -> pl.DataFrame:
        """The records as columns: those of `catalogue[type_name].polars_schema`, then `_offset` (Int64), in the order given.

        `fingerprints` are the records' headers `ce_dataschema`. Raises `SchemaMismatch` for an id that is unknown, of another type or not
        of its fingerprint, and `UndecodableRecords` naming all the records that must be left out for the rest to decode.
        """
        reader = self.catalogue.schema(type_name)
        if fingerprints is not None:
            self._check_fingerprints(values, fingerprints)
        prefix = reader.prefix
        uniform = set(map(_prefix_of, values)) <= {prefix}
        frame = decode_data(reader, list(map(_datum_of, values))) if uniform else self._decode_mixed(reader, values)
        return frame.with_columns(pl.Series("_offset", offsets, dtype=pl.Int64))

    def _check_fingerprints(self, values: Sequence[bytes], fingerprints: Sequence[bytes]) -> None:
        for prefix, fingerprint in {(value[:FRAME], fingerprint) for value, fingerprint in zip(values, fingerprints, strict=True)}:
            if len(prefix) == FRAME and prefix[0] == 0:
                writer = self._by_prefix(prefix)
                if fingerprint != writer.fingerprint.encode():
                    raise _mismatch(writer, fingerprint)

    def _decode_mixed(self, reader: Schema, values: Sequence[bytes]) -> pl.DataFrame:
        """Records of several releases of one type: each group by its writer's schema, then brought to the reader's and into order."""
        groups: dict[bytes, list[int]] = {}
        bad: list[tuple[int, str]] = []
        for index, value in enumerate(values):
            if len(value) < FRAME or value[0] != 0:
                bad.append((index, f"{len(value)} bytes without the framing (0x00 and a schema id of four bytes)"))
            else:
                groups.setdefault(value[:FRAME], []).append(index)
        frames = []
        for prefix, indices in groups.items():
            writer = self._by_prefix(prefix)
            if writer.name != reader.name:
                raise SchemaMismatch(f"schema id {writer.schema_id} is that of {writer.name}; expected {reader.name}")
            try:
                frame = resolve_frame(writer, reader, decode_data(writer, [_datum_of(values[index]) for index in indices]))
                frames.append(frame.with_columns(pl.Series("_index", indices, dtype=pl.Int64)))
            except UndecodableRecords as error:
                bad += [(indices[index], reason) for index, reason in zip(error.indices, error.reasons, strict=True)]
        if bad:
            bad.sort()
            raise UndecodableRecords(reader.name, [index for index, _ in bad], [reason for _, reason in bad])
        return pl.concat(frames).sort("_index").drop("_index")


def envelope_of(type_name: str, values: Mapping[str, object]) -> Envelope:
    """The envelope that `Codec.encode` made the decoded values from."""
    payload = {name: value for name, value in values.items() if name not in ENVELOPE_FIELDS}
    event = Event(type_name, cast("str", values["subject"]), cast("datetime", values["occurred_at"]), payload)
    return Envelope(
        event,
        cast("str", values["source"]),
        cast("int", values["sequence"]),
        cast("int", values["version"]),
        Op(str(values["op"])),
        cast("str", values["batch"]),
    )


def _refuse_envelope(schema: Schema, envelope: Envelope) -> None:
    at = envelope.event.occurred_at
    if not schema.correctable and envelope.op is not Op.CREATE:
        raise SchemaViolation(
            f"{schema.name}: op {envelope.op} on a type that is not correctable", field="op", rule="not_correctable",
            received=str(envelope.op), allowed="CREATE",
        )  # fmt: skip
    if at.utcoffset() is not None and not EARLIEST <= at < LATEST:
        raise SchemaViolation(
            f"{schema.name}: field occurred_at: received {at.isoformat()}; allowed: from 1900 to 2199", field="occurred_at", rule="range",
            received=at.isoformat(), allowed="1900 to 2199",
        )  # fmt: skip
    if not envelope.event.subject or not envelope.source:
        name = "source" if envelope.event.subject else "subject"
        raise SchemaViolation(
            f"{schema.name}: field {name} is empty", field=name, rule="empty", received="''", allowed="text that is not empty"
        )


def _write(schema: Schema, datum: Mapping[str, object]) -> bytes:
    out = io.BytesIO()
    out.write(schema.prefix)
    fastavro.schemaless_writer(out, schema.plain_parsed, datum, strict=True)
    return out.getvalue()


def _mismatch(writer: Schema, fingerprint: bytes) -> SchemaMismatch:
    named = fingerprint.decode(errors="replace")
    return SchemaMismatch(
        f"schema id {writer.schema_id} is that of {writer.name} ({writer.fingerprint[:16]}…), the header ce_dataschema names {named[:16]}…"
    )
