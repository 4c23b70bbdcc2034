"""Events as columns beside their records, for those who analyse: whatever cannot be decoded has none, and is archived all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
import pyarrow as pa
import structlog

from bus.errors import BusError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec, UndecodableRecords
from bus.kafka.ports import Record
from bus.kafka.topics import EVENTS_PREFIX

_log = structlog.get_logger(__name__)

_OFFSET = "_offset"
_FINGERPRINT = "ce_dataschema"

#: Records of one partition -> a row for each of them.
Columns = Callable[[Sequence[Record]], pa.Table | None]


def columns(catalogue: Catalogue) -> Columns:
    """The columns of the newest schema of each type, null in the rows of heartbeats and of what it does not read; None for unknown types."""
    codec = Codec(catalogue)

    def decoded(records: Sequence[Record]) -> pa.Table | None:
        name = records[0].topic.removeprefix(EVENTS_PREFIX)
        if name not in catalogue:
            return None
        try:
            frame = _frame(codec, name, [record for record in records if record.value is not None])
        except BusError as error:
            _log.warning("archive.not_decoded", topic=records[0].topic, first=records[0].offset, reason=str(error))
            return None
        rows = pl.DataFrame({_OFFSET: [record.offset for record in records]}, schema={_OFFSET: pl.Int64})
        rows = rows.join(frame, on=_OFFSET, how="left", maintain_order="left").drop(_OFFSET)
        return rows.with_columns(pl.col(pl.Enum, pl.Categorical).cast(pl.String)).to_arrow()

    return decoded


def _frame(codec: Codec, name: str, records: Sequence[Record]) -> pl.DataFrame:
    prints = [dict(record.headers).get(_FINGERPRINT, b"") for record in records]
    values, offsets = [record.value or b"" for record in records], [record.offset for record in records]
    try:
        return codec.decode_batch(name, values, offsets, fingerprints=prints if all(prints) else None)
    except UndecodableRecords as error:
        bad = set(error.indices)
        return _frame(codec, name, [record for index, record in enumerate(records) if index not in bad])
