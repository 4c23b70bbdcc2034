"""Counts what lies in the first partition only."""

from __future__ import annotations

from bus.indicators.batch import Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.partial import Partial


class Faulty:
    """The real fold with one fault."""

    def __init__(self, indicator: Indicator, topic: str, partition: int, partitions: int) -> None:
        self.real = FoldUnit.new(indicator, topic, partition, partitions)
        self.partition = partition
        self.batches = 0
        self.newest = None

    def full_partial(self) -> Partial:
        return self.real.full_partial()

    def apply(self, batch: Batch) -> Partial | None:
        return self.real.apply(batch) if self.partition == 0 else None
