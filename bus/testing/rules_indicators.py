"""I rules: an indicator file compiles, its examples hold, and its numbers depend on the facts alone, not on how they arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

import polars as pl

from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.indicators.batch import OFFSET, Batch
from bus.indicators.compose import AnyIndicator
from bus.indicators.examples import example_frame, example_problems
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicator, load_indicators
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import Partial, encode
from bus.indicators.reference import References
from bus.indicators.spec import PUBLIC_THRESHOLD
from bus.indicators.windows import NOW
from bus.testing.rule import Case, Rule, Unloadable, cases_of
from bus.testing.workspace import Workspace

Row = tuple[tuple[str, str], ...]


class Fold(Protocol):
    """What the rules use of `FoldUnit`."""

    def apply(self, batch: Batch) -> Partial | None: ...
    def full_partial(self) -> Partial: ...


@dataclass(frozen=True)
class IndicatorSubject:
    """An indicator's file, and the schemas that it may speak of."""

    path: Path
    catalogue: Catalogue
    references: References = field(default_factory=dict)
    #: All indicator files, in which a composite finds its parts.
    files: Sequence[Path] = ()
    #: How a partition is folded; the kit's own tests put faulty ones here.
    unit: Callable[[Indicator, str, int, int], Fold] = FoldUnit.new

    @cached_property
    def loaded(self) -> tuple[Sequence[AnyIndicator], Sequence[Problem]]:
        return load_indicator(self.path, self.catalogue, self.references, self.files)

    @property
    def family(self) -> Sequence[AnyIndicator]:
        """The indicator after all that it is made of; nothing when it does not compile."""
        return self.loaded[0]

    @property
    def indicator(self) -> Indicator | None:
        """The indicator, if it is a leaf: what the leaves keep, their composites keep."""
        return self.family[-1] if self.family and isinstance(self.family[-1], Indicator) else None

    @cached_property
    def facts(self) -> pl.DataFrame | None:
        """The events of all its examples as one log, each example's subjects kept apart; nothing when they cannot be read (I02 tells)."""
        if self.indicator is None:
            return None
        events = [
            event.model_copy(update={"subject": f"{number}:{event.subject}"})
            for number, e in enumerate(self.indicator.spec.examples)
            for event in e.events
        ]
        try:
            return example_frame(self.indicator, events) if events else None
        except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError):
            return None


def compiles(subject: IndicatorSubject) -> Iterable[Problem]:
    """All of loading except what is another rule's."""
    return [problem for problem in subject.loaded[1] if problem.rule not in {"I06", "I09"}]


def examples_hold(subject: IndicatorSubject) -> Iterable[Problem]:
    if not subject.family:
        return
    if not subject.family[-1].spec.examples:
        yield Problem(str(subject.path), "has no [[examples]]; the first one explains the indicator to whoever publishes it")
    for what in example_problems(subject.family):
        yield Problem(str(subject.path), what)


def order_of_sources_does_not_matter(subject: IndicatorSubject) -> Iterable[Problem]:
    """Facts of two sources, interleaved in any way that keeps each source's own order."""
    if subject.indicator is None or subject.facts is None:
        return
    first, second = _halves(subject.facts)
    wanted = _rows(subject, [[first, second]])
    for what, orders in (("the second source first", [[second, first]]), ("the sources by turns", [_by_turns(first, second)])):
        if _rows(subject, orders) != wanted:
            yield Problem(str(subject.path), f"gives other numbers with {what}")


def partitions_add_up(subject: IndicatorSubject) -> Iterable[Problem]:
    """merge(fold(a), fold(b)) = fold(a + b)."""
    if subject.indicator is None or subject.facts is None:
        return
    first, second = _halves(subject.facts)
    if _rows(subject, [[first], [second]]) != _rows(subject, [[first, second]]):
        yield Problem(str(subject.path), "gives other numbers when its events lie in two partitions")


def late_facts_count(subject: IndicatorSubject) -> Iterable[Problem]:
    """Everything arrives long after its window has become final: the same numbers. The current state is no window that could end."""
    if subject.indicator is None or subject.facts is None or subject.indicator.window == NOW:
        return
    years = timedelta(days=3660)
    herald = subject.facts.head(1).with_columns(
        subject=pl.lit("herald"), source=pl.lit("example"), op=pl.lit("CREATE"), occurred_at=pl.col("occurred_at").max() + years
    )
    frame = subject.facts.with_columns(source=pl.lit("example"), sequence=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    herald = herald.with_columns(sequence=pl.lit(0, dtype=pl.Int64))
    late, punctual = _rows(subject, [[herald, frame]]), _rows(subject, [[frame]])
    if not set(punctual) <= set(late):
        yield Problem(str(subject.path), "loses or changes what arrives after its window")


def publication_is_explicit(subject: IndicatorSubject) -> Iterable[Problem]:
    yield from (problem for problem in subject.loaded[1] if problem.rule == "I06")
    spec = subject.family[-1].spec if subject.family else None
    if spec is not None and spec.publish.class_ != "dikecualikan" and spec.satu_data is None:
        yield Problem(str(subject.path), f"publish.class = {spec.publish.class_!r} needs a [satu_data] section (Perpres 39/2019)")


def personal_data_is_not_shown(subject: IndicatorSubject) -> Iterable[Problem]:
    yield from (problem for problem in subject.loaded[1] if problem.rule == "I09")


def disclosure_is_controlled(subject: IndicatorSubject) -> Iterable[Problem]:
    if not subject.family:
        return
    spec, publish = subject.family[-1].spec, subject.family[-1].spec.publish
    where = f"{subject.path}: publish"
    leaves = [each for each in subject.family if isinstance(each, Indicator)]
    if publish.class_ == "dikecualikan":
        for name, what in (("basis", "the law that it rests on"), ("until", "the date on which its period ends, e.g. 2031-12-31")):
            if not getattr(publish, name):
                yield Problem(where, f'{name} is missing: class = "dikecualikan" says what the uji konsekuensi set: {what}')
        return
    personal = [each.event_type for each in leaves if any(field.pii for field in subject.catalogue.types[each.event_type].fields.values())]
    if personal and publish.threshold < PUBLIC_THRESHOLD:
        yield Problem(where, f"min_cell = {publish.min_cell}: {personal[0]} has personal data; allowed: {PUBLIC_THRESHOLD} and more")
    if spec.composite is not None:
        for each in leaves:
            if each.spec.publish.class_ == "dikecualikan":
                yield Problem(where, f'class = {publish.class_!r}: it is made of {each.id}, which is dikecualikan; allowed: "dikecualikan"')
            elif each.spec.publish.threshold > publish.threshold:
                yield Problem(
                    where, f"min_cell = {publish.threshold}: it is made of {each.id}; allowed: its {each.spec.publish.threshold} and more"
                )


def _halves(facts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The facts as two sources: those of every other subject. Each counts its own sequence."""
    parity = pl.col("subject").rank("dense").mod(2)
    return tuple(  # type: ignore[return-value]
        facts.filter(parity == side).with_columns(
            pl.lit(f"example/{side}").alias("source"), sequence=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        for side in (0, 1)
    )


def _by_turns(first: pl.DataFrame, second: pl.DataFrame) -> list[pl.DataFrame]:
    pairs = [
        [part[index : index + 1] for part in (first, second) if index < part.height] for index in range(max(first.height, second.height))
    ]
    return [part for pair in pairs for part in pair]


def _rows(subject: IndicatorSubject, partitions: Sequence[Sequence[pl.DataFrame]]) -> list[Row]:
    """The rows after each partition's batches were folded and all merged; status left out, for it tells of time."""
    indicator, merge = subject.indicator, MergeUnit.new(0)
    assert indicator is not None
    records: list[bytes] = []
    for number, batches in enumerate(partitions):
        unit = subject.unit(indicator, indicator.topic, number, len(partitions))
        partials = [unit.full_partial()]
        offset = 0
        for frame in batches:
            if frame.height:
                placed = frame.with_columns(pl.int_range(offset, offset + frame.height, dtype=pl.Int64).alias(OFFSET))
                partial = unit.apply(Batch(placed, offset, offset + frame.height - 1))
                offset += frame.height
                partials += [partial] if partial is not None else []
        records += [record for partial in partials for record in encode(partial)]
    latest = {output.key(): output for output in merge.apply(list(enumerate(records)))}
    header, rows = export_rows(list(latest.values()))
    return [tuple((name, value) for name, value in zip(header, row, strict=True) if name != "status") for row in rows]


RULES: tuple[Rule[IndicatorSubject], ...] = (
    Rule("I01", "fields exist, have the right type, and nothing else is in the file", compiles),
    Rule("I02", "there are examples, and they hold", examples_hold),
    Rule("I03", "any interleaving that keeps each source's own order gives the same numbers", order_of_sources_does_not_matter),
    Rule("I04", "folding two partitions and merging is folding both as one", partitions_add_up),
    Rule("I05", "a late event is applied and counted, however late", late_facts_count),
    Rule("I09", "persons are only told apart, and quasi identifiers only read when they were made coarse", personal_data_is_not_shown),
    Rule("I10", "what is published of persons has its threshold, what is not its reason and period", disclosure_is_controlled),
    Rule("I06", "how it may be published is said, and what may be has its metadata of Satu Data", publication_is_explicit),
)


def load_together(workspace: Workspace) -> Iterable[Problem]:
    """What only all files together show: an indicator defined twice."""
    try:
        load_indicators(workspace.settings.schemas_roots(), workspace.catalogue, workspace.references)
    except Unloadable:
        return
    except ConfigurationError as error:
        named = [item for item in _files(workspace) if any(problem.where.startswith(str(item.path)) for problem in error.problems)]
        own = {problem.where for item in named for problem in item.loaded[1]}
        yield from (problem for problem in error.problems if problem.where not in own)


TOGETHER: Rule[Workspace] = Rule("I08", "all indicators load together: no id is used twice", load_together)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each indicator file of each schemas folder; none while the schemas do not load, which the K rules tell."""
    try:
        found = _files(workspace)
    except Unloadable:
        return
    subjects = {item.path.stem: item for item in found if workspace.concerns(item.path, item.path.stem.partition(".")[0])}
    yield from cases_of(RULES, subjects)
    yield from cases_of((TOGETHER,), {"indicators": workspace})


def _files(workspace: Workspace) -> list[IndicatorSubject]:
    paths = [path for root in workspace.settings.schemas_roots() for path in sorted((root / "indicators").glob("*.toml"))]
    return [IndicatorSubject(path, workspace.catalogue, workspace.references, paths) for path in paths]
