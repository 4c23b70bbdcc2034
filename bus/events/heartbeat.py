"""Heartbeats: a source says, in a partition of an event topic, that it has sent everything up to a time.

A record without value (so that no reader of events takes it for one) whose headers say all. It moves watermarks and nothing else; saying it
again changes nothing, and it carries no sequence, so it needs no order with the events of its source but that of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

TYPE = b"bus.heartbeat.v1"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Heartbeat(NamedTuple):
    """Everything of `source` up to `at_us` (UTC microseconds) has been sent into the partition that holds the record."""

    source: str
    at_us: int


def heartbeat_headers(source: str, at: datetime) -> tuple[tuple[str, bytes], ...]:
    """The headers of a heartbeat's record; `at` is aware."""
    return ("ce_type", TYPE), ("ce_source", source.encode()), ("ce_time", at.astimezone(UTC).isoformat().encode())


def heartbeat_of(headers: Iterable[tuple[str, bytes]]) -> Heartbeat | None:
    """The heartbeat that a record without value carries; None when it carries none, or a time that cannot be read."""
    said = dict(headers)
    try:
        source, at = said["ce_source"].decode(), datetime.fromisoformat(said["ce_time"].decode())
    except (AttributeError, KeyError, ValueError):
        # A header of Kafka's may be null.
        return None
    if said.get("ce_type") != TYPE or not source or at.tzinfo is None:
        return None
    return Heartbeat(source, (at - _EPOCH) // timedelta(microseconds=1))
