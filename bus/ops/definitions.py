"""The indicators' files against what is published: new, changed, unchanged, refused, gone (`bus indicators diff`).

What is published is asked of the log alone: the names of the folds' states (`fold/<id>/<version>/<fingerprint>/…`, which is what a worker
goes by too), the newest records of the output topics, and, for what a definition said, the partials that still bear it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from bus.errors import Problem
from bus.events.codec import Codec
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import changed_without_version
from bus.indicators.partial import Definition, decode
from bus.kafka.ports import LogReader, Record, SnapshotStore, TopicPartition
from bus.kafka.topics import INDICATORS_PREFIX, PARTIALS
from bus.ops.staging import Tried
from bus.ops.values import read_value

#: How many of the newest records are looked at: of an output topic, and of each partition of bus.partials.
_NEWEST_VALUES = 50
_NEWEST_PARTIALS = 500
#: Of a definition's fields, those that say nothing about how it is computed.
_NAMES = frozenset({"id", "version", "fingerprint", "expected"})
#: What differs when the fingerprint does and nothing that is known of the older definition.
_EXPRESSIONS = "expressions (event, where, by, measure) or tables"


class Standing(StrEnum):
    """How a file stands to what is published."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Published:
    """What the log knows of an indicator. `fingerprint` may be the beginning of one; `shown`: the version that readers see, 0 for none."""

    version: int
    fingerprint: str
    shown: int
    definition: Definition | None = None

    @property
    def mark(self) -> tuple[int, str]:
        return self.version, self.fingerprint


@dataclass(frozen=True, slots=True)
class Entry:
    """One indicator. `parts` name what differs, each with what it was and what it becomes where that is known."""

    indicator: str
    standing: Standing
    old: int | None = None
    new: int | None = None
    shown: int = 0
    parts: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


async def published(reader: LogReader, snapshots: SnapshotStore, codec: Codec, topics: Collection[str]) -> dict[str, Published]:
    """Every indicator that the log knows, by id. `topics` are the names of all topics."""
    marks: dict[str, tuple[int, str]] = {}
    for unit in await snapshots.newest("fold/"):
        _, name, version, fingerprint, *_ = unit.split("/")
        marks[name] = max(marks.get(name, (0, "")), (int(version), fingerprint))
    shown: dict[str, int] = {}
    for topic in sorted(topics):
        name = topic.removeprefix(INDICATORS_PREFIX)
        if name == topic:
            continue
        for record in await _newest(reader, TopicPartition(topic, 0), _NEWEST_VALUES):
            if (value := read_value(codec, record)) is not None:
                shown[name] = max(shown.get(name, 0), value.version)
                if value.version > marks.get(name, (0, ""))[0]:
                    marks[name] = (value.version, value.fingerprint)
    definitions = await _definitions(reader, marks)
    return {name: Published(*mark, shown.get(name, 0), definitions.get(name)) for name, mark in sorted(marks.items())}


def compare(tried: Tried, known: Mapping[str, Published], installed: Mapping[str, AnyIndicator] | None = None) -> list[Entry]:
    """Every indicator that is published or has a file, by id. `installed` are the files as they were, for what else is known of them."""
    refused = {name: list(problems) for name, problems in tried.problems.items()}
    for problem in changed_without_version({name: each.mark for name, each in known.items()}, tried.indicators):
        refused.setdefault(problem.where.partition(".toml")[0], []).append(problem)
    entries = []
    for name in sorted({*tried.indicators, *known, *refused} - {""}):
        indicator, before = tried.indicators.get(name), known.get(name)
        entries.append(_entry(name, indicator, before, refused.get(name, ()), (installed or {}).get(name)))
    return entries


def _entry(
    name: str, indicator: AnyIndicator | None, before: Published | None, problems: Sequence[Problem], installed: AnyIndicator | None
) -> Entry:
    old, shown = (before.version, before.shown) if before is not None else (None, 0)
    new = indicator.version if indicator is not None else None
    if problems:
        parts = _parts(indicator, before, installed) if indicator is not None and before is not None else ()
        return Entry(name, Standing.REFUSED, old, new, shown, parts, tuple(problems))
    if indicator is None:
        return Entry(name, Standing.GONE, old, None, shown)
    if before is None:
        return Entry(name, Standing.NEW, None, new, shown)
    if before.version == indicator.version:
        return Entry(name, Standing.UNCHANGED, old, new, shown)
    return Entry(name, Standing.CHANGED, old, new, shown, _parts(indicator, before, installed))


def _parts(indicator: AnyIndicator, before: Published, installed: AnyIndicator | None) -> tuple[str, ...]:
    """What differs in what is computed: from the file as it was, if it is the published one, else from the definition in the log."""
    if indicator.fingerprint.startswith(before.fingerprint):
        return ()
    if installed is not None and installed.fingerprint.startswith(before.fingerprint):
        was, becomes = _spec(installed), _spec(indicator)
    elif before.definition is not None:
        was, becomes = _flat(before.definition), _flat(indicator.definition)
    else:
        return ("not known: nothing in the log tells any more what it was",)
    changed = [name for name in becomes | was if was.get(name) != becomes.get(name)]
    return tuple(f"{name}: {_text(was.get(name))} -> {_text(becomes.get(name))}" for name in sorted(changed)) or (_EXPRESSIONS,)


#: What of a file decides no number.
_PROSE = frozenset({"id", "version", "title", "unit", "satu_data", "publish", "examples"})


def _spec(indicator: AnyIndicator) -> dict[str, object]:
    return indicator.spec.model_dump(exclude=set(_PROSE), exclude_none=True)


def _flat(definition: Definition) -> dict[str, object]:
    return {name: value for name, value in cast("Mapping[str, object]", definition).items() if name not in _NAMES}


def _text(value: object) -> str:
    return "none" if value is None or value == [] else str(value)


async def _newest(reader: LogReader, partition: TopicPartition, count: int) -> list[Record]:
    beginning, end = await reader.beginning(partition), await reader.end(partition)
    start = max(beginning, end - count)
    return [record async for batch in reader.read(partition, start, end) for record in batch] if start < end else []


async def _definitions(reader: LogReader, marks: Mapping[str, tuple[int, str]]) -> dict[str, Definition]:
    """The published definitions that the newest partials still bear."""
    found: dict[str, Definition] = {}
    for number in range(await reader.partitions(PARTIALS)):
        for record in await _newest(reader, TopicPartition(PARTIALS, number), _NEWEST_PARTIALS):
            if record.value is None:
                continue
            partial = decode(record.value)
            for definition in (partial.definition, *(cast("Definition", feed["definition"]) for feed in partial.feeds)):
                version, fingerprint = marks.get(definition["id"], (0, ""))
                if definition["version"] == version and definition["fingerprint"].startswith(fingerprint):
                    found[definition["id"]] = definition
    return found
