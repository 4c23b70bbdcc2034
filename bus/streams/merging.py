"""The merge as work of a stage: partials in, values of indicators out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bus.events.codec import Codec
from bus.indicators.merge import MergeUnit
from bus.indicators.merge_state import readable
from bus.indicators.outputs import Output
from bus.kafka.ports import Message, Record, Snapshot, TopicPartition
from bus.kafka.topics import HISTORY_PREFIX, INDICATORS_PREFIX, PARTIALS
from bus.streams.lists import listed
from bus.streams.outputs import Mark, Place, encode_output, mark_of, topic_of
from bus.streams.work import Effects, Prepared

Parts = list[tuple[int, bytes]]


@dataclass(slots=True)
class _Standing:
    mark: Mark
    offset: int = -1


class MergeWork:
    """One unit for each partition of `bus.partials`.

    `standing` is what this process has published of each cell and where, for the owner's watch over its outputs (R5); `take_shown`
    gives the tables what has changed. The history of an indicator has each output acknowledged before its output topic gets it, so it
    holds all that a reader can ever have seen; what a successor says again after a crash is told apart by its order when it is read.
    """

    name = "merge"
    may_begin_late = True

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.standing: dict[Place, _Standing] = {}
        self._shown: dict[Place, Output] = {}

    def unit_ids(self, partition: TopicPartition) -> Sequence[str]:
        return [MergeUnit.new(partition.partition).unit_id] if partition.topic == PARTIALS else []

    def fresh(self, partition: TopicPartition, unit_id: str, offset: int) -> MergeUnit:
        unit = MergeUnit.new(partition.partition)
        unit.offset = offset
        return unit

    def lasting(self, block: str) -> bool:
        return True

    def readable(self, snapshot: Snapshot) -> bool:
        return readable(snapshot.blocks)

    def restore(self, partition: TopicPartition, unit_id: str, snapshot: Snapshot) -> MergeUnit:
        return MergeUnit.load(partition.partition, snapshot.offset, snapshot.blocks)

    def prepare(self, partition: TopicPartition, records: Sequence[Record]) -> Prepared[Parts]:
        parts = [(record.offset, record.value) for record in records if record.value is not None]
        return Prepared(parts, records[0].offset, records[-1].offset)

    def needs(self, unit: MergeUnit, prepared: Prepared[Parts]) -> Collection[str]:
        return ()

    def apply(self, unit: MergeUnit, prepared: Prepared[Parts]) -> Effects:
        outputs = unit.apply(prepared.batch)
        unit.offset = max(unit.offset, prepared.last)
        self._shown |= {(topic_of(output.indicator), output.key()): output for output in outputs}
        messages = self.messages(outputs)
        return Effects(first=[_historical(message) for message in messages], changed=messages + listed(unit.listed()))

    def announce(self, unit: MergeUnit) -> list[Message]:
        return self.messages(unit.full_outputs()) + listed(unit.listed(all_of_it=True))

    def greet(self, unit: MergeUnit) -> list[Message]:
        return []

    def replaces(self, new: str, old: str) -> bool:
        return False

    def supersedes(self, new: str, old: str) -> bool:
        return False

    def repeats_to(self, unit: MergeUnit) -> int:
        return -1

    def messages(self, outputs: Sequence[Output]) -> list[Message]:
        """The records of these outputs in their output topics, in order."""
        messages = []
        for output in outputs:
            key, value, headers = encode_output(self._codec, output)
            topic = topic_of(output.indicator)
            known = self.standing.get((topic, key))
            self.standing[topic, key] = _Standing(mark_of(output), known.offset if known is not None else -1)
            messages.append(Message(topic, 0, key, value, headers))
        return messages

    def sent(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        for message, offset in zip(messages, offsets, strict=True):
            if message.key is not None and message.topic.startswith(INDICATORS_PREFIX):
                standing = self.standing.get((message.topic, message.key))
                if standing is not None:
                    standing.offset = max(standing.offset, offset)

    def stands(self, place: Place, mark: Mark, offset: int) -> None:
        """Somebody before this process published a cell with that mark at that offset."""
        self.standing[place] = _Standing(mark, offset)

    def take_shown(self) -> list[Output]:
        """The newest output of each cell that changed since the last call."""
        shown, self._shown = self._shown, {}
        return list(shown.values())


def _historical(message: Message) -> Message:
    """The same record for the history of its indicator."""
    return replace(message, topic=HISTORY_PREFIX + message.topic.removeprefix(INDICATORS_PREFIX))
