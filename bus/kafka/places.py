"""The name under which a record of the log stands in the quarantine: written by folds, read by whoever looks after the quarantine."""

from __future__ import annotations

from dataclasses import dataclass

_KIND = "fold"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A record of an event topic that could not be used: by one indicator, or (`indicator` empty) by nobody, for it cannot be decoded."""

    topic: str
    partition: int
    offset: int
    indicator: str = ""

    @property
    def source(self) -> str:
        return _KIND

    @property
    def where(self) -> str:
        """topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def key(self) -> str:
        return f"{_KIND}|{self.where}|{self.indicator}"

    @classmethod
    def parse(cls, key: str) -> LogPlace | None:
        """The place that a key names; None when it names something else. Raises `ValueError` for a broken one."""
        kind, _, rest = key.partition("|")
        if kind != _KIND:
            return None
        where, _, indicator = rest.partition("|")
        topic, partition, offset = where.rsplit("/", 2)
        return cls(topic, int(partition), int(offset), indicator)
