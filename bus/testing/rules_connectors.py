"""C rules: an agency is what its manifest says, and its mapping means what its samples say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bus.clock import SystemClock
from bus.errors import BusError, ConfigurationError, Problem
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.events.personal import is_mapping_type
from bus.indicators import regions
from bus.ingest.code_table import PATTERN, CodeTable
from bus.ingest.manifest import MANIFEST, Agency, read_manifest
from bus.testing.exposure import exposed
from bus.testing.mutations import leaks_of, mutations_of
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.samples import Sample, samples_of
from bus.testing.workspace import Workspace


@dataclass(frozen=True)
class AgencySubject:
    """An agency's folder; `agency` is None when its manifest cannot be used, and then only C01 has something to say."""

    folder: Path
    agency: Agency | None
    faults: tuple[Problem, ...]
    workspace: Workspace

    @property
    def samples(self) -> list[Sample]:
        return samples_of(self.agency) if self.agency is not None else []

    def events(self) -> Iterator[tuple[str, Event]]:
        """Each event of each sample, with the place that it comes from."""
        for sample in self.samples:
            for outcome in sample.accepted():
                for event in outcome.events:
                    yield f"{sample.path}:{outcome.line}", event

    def known_events(self) -> Iterator[tuple[str, Event]]:
        """Those whose type is declared and has a schema; C02 tells of the others."""
        declared = self.agency.manifest.events if self.agency is not None else {}
        return ((where, event) for where, event in self.events() if event.type in declared and event.type in self.workspace.catalogue)


def manifest_is_valid(subject: AgencySubject) -> Iterable[Problem]:
    yield from subject.faults
    for waiver in subject.agency.manifest.waivers if subject.agency else ():
        if waiver.rule not in _WAIVABLE:
            yield Problem(
                str(subject.folder / MANIFEST), f"a waiver for {waiver.rule!r}; rules that can be waived are {', '.join(sorted(_WAIVABLE))}"
            )
        elif waiver.until < datetime.now(UTC).date():
            yield Problem(str(subject.folder / MANIFEST), f"the waiver for {waiver.rule} ended on {waiver.until}")


def events_have_schemas(subject: AgencySubject) -> Iterable[Problem]:
    if subject.agency is None:
        return
    declared = set(subject.agency.manifest.events)
    known = {name for name, schema in subject.workspace.catalogue.types.items() if schema.type.agency == subject.agency.id}
    for name in sorted(declared - known):
        yield Problem(str(subject.folder / MANIFEST), f"event {name} has no schema file under schemas/events/{subject.agency.id}/")
    for name in sorted(known - declared):
        yield Problem(str(subject.folder / MANIFEST), f"schema {name} is not declared in [events]")


def events_have_samples(subject: AgencySubject) -> Iterable[Problem]:
    if subject.agency is None:
        return
    seen = {event.type for _, event in subject.events()}
    wanted = {name for name in subject.agency.manifest.events if not is_mapping_type(name, subject.agency.id)}
    for name in sorted((wanted & subject.workspace.catalogue.types.keys()) - seen):
        yield Problem(str(subject.folder), f"no sample under samples/<source>/ gives an event {name}")
    for source_id in sorted(set(subject.agency.manifest.sources) - {sample.source_id for sample in subject.samples}):
        yield Problem(str(subject.folder), f"source {source_id} has no sample under samples/{source_id}/")


def samples_mean_what_is_expected(subject: AgencySubject) -> Iterable[Problem]:
    for sample in subject.samples:
        try:
            expected = sample.expected()
        except ConfigurationError as error:
            yield from error.problems
            continue
        found = [outcome.plain() for outcome in sample.outcomes()]
        for index in range(max(len(found), len(expected))):
            got, want = (rows[index] if index < len(rows) else None for rows in (found, expected))
            if got != want:
                yield Problem(f"{sample.path}: record {index + 1}", f"comes to {got}; {sample.expectation.name} says {want}")
                break


def events_encode_strictly(subject: AgencySubject) -> Iterable[Problem]:
    codec = Codec(subject.workspace.catalogue)
    for where, event in subject.known_events():
        try:
            value, headers = codec.encode(_envelope(event))
            decoded = codec.decode(value, headers)
        except BusError as error:
            yield Problem(where, str(error))
            continue
        for name, sent in event.data.items():
            if decoded[name] != sent:
                yield Problem(where, f"field {name} comes back different after encoding")


def keys_are_there(subject: AgencySubject) -> Iterable[Problem]:
    for where, event in subject.known_events():
        assert subject.agency is not None
        key = subject.agency.manifest.events[event.type].key
        if not event.subject.strip():
            yield Problem(where, f"an event {event.type} without a subject")
        elif key != "subject" and event.data.get(key) in (None, ""):
            yield Problem(where, f"the key field {key} of {event.type} is missing or null")


def meaning_is_the_same_twice(subject: AgencySubject) -> Iterable[Problem]:
    for sample in subject.samples:
        first, second = ([(o.plain(), [_envelope(event).id for event in o.events]) for o in sample.outcomes()] for _ in range(2))
        if first != second:
            yield Problem(
                str(sample.path), "mapped twice, it gives different events or ids: a mapping knows no clock, no chance and no memory"
            )


def times_are_aware_and_past(subject: AgencySubject) -> Iterable[Problem]:
    now = SystemClock().now()
    for where, event in subject.events():
        times = {"occurred_at": event.occurred_at, **{name: value for name, value in event.data.items() if isinstance(value, datetime)}}
        for name, value in times.items():
            if value.utcoffset() is None:
                yield Problem(where, f"{name} has no time zone")
            elif value > now:
                yield Problem(where, f"{name} is in the future")


def changes_are_refused(subject: AgencySubject) -> Iterable[Problem]:
    for sample in subject.samples:
        yield from mutations_of(sample)


def personal_data_stays_out_of_errors(subject: AgencySubject) -> Iterable[Problem]:
    for sample in subject.samples:
        yield from leaks_of(sample)


def codes_of_regions_are_known(subject: AgencySubject) -> Iterable[Problem]:
    tree = None
    for path in sorted(subject.folder.glob(PATTERN)):
        try:
            table = CodeTable.load(path)
        except ConfigurationError as error:
            yield from error.problems
            continue
        tree = tree or regions.Regions.from_table(subject.workspace.references[regions.TABLE])
        for row in table.rows:
            code = str(row.values["kode"])
            if wrong := tree.gap(code, row.since, row.until):
                yield Problem(f"{path}:{row.line}: kode", f"received {code}: {wrong.message}")


def persons_stay_at_the_door(subject: AgencySubject) -> Iterable[Problem]:
    """What the models call an identifier stands nowhere in what leaves: not in a text beside, not in the subject, not in the key."""
    for sample in subject.samples:
        meaning = sample.agency.meaning(sample.source_id)
        for outcome in sample.accepted():
            yield from exposed(f"{sample.path}:{outcome.line}", meaning, outcome)


def _envelope(event: Event) -> Envelope:
    return Envelope(event, "conformance/sample", sequence_of(1, 1), sequence_of(1, 1), Op.CREATE, "conformance/sample/1")


RULES: tuple[Rule[AgencySubject], ...] = (
    Rule("C01", "the manifest is valid, its id is the folder's name, its waivers have not ended", manifest_is_valid),
    Rule("C02", "declared events and schemas on disk are the same", events_have_schemas),
    Rule("C03", "each event and each source has a sample", events_have_samples),
    Rule("C04", "each sample means exactly what its expectation says", samples_mean_what_is_expected),
    Rule("C05", "events encode strictly and come back equal", events_encode_strictly),
    Rule("C06", "the key is there and not null", keys_are_there),
    Rule("C07", "the same sample twice gives the same events and ids", meaning_is_the_same_twice),
    Rule("C08", "times have a zone and are not in the future", times_are_aware_and_past),
    Rule("C09", "an unknown field, a missing field, a wrong type and an unknown value are refused", changes_are_refused),
    Rule("C13", "values of personal fields never stand in an error", personal_data_stays_out_of_errors),
    Rule("C15", "identifiers of the record stand nowhere in its events and its key", persons_stay_at_the_door),
    Rule(
        "C14",
        "each kode_*.csv is well formed and maps to codes that the region table has in force all the while",
        codes_of_regions_are_known,
    ),
)
_WAIVABLE = {rule.id for rule in RULES} - {"C01"}


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each agency's folder. A waived rule is not run; its case says until when and why."""
    subjects = agency_subjects(workspace)
    for case in cases_of(RULES, subjects):
        yield _waived(case, subjects[case.subject])


def agency_subjects(workspace: Workspace) -> dict[str, AgencySubject]:
    """The agencies' folders, by name."""
    subjects = {}
    for root in workspace.settings.connector_roots():
        for path in sorted(root.glob(f"*/{MANIFEST}")):
            if workspace.concerns(path, path.parent.name):
                agency, faults = read_manifest(path)
                subjects[path.parent.name] = AgencySubject(path.parent, None if faults else agency, tuple(faults), workspace)
    return subjects


def _waived(case: Case, subject: AgencySubject) -> Case:
    for waiver in subject.agency.manifest.waivers if subject.agency else ():
        if waiver.rule == case.rule and waiver.rule in _WAIVABLE and waiver.until >= datetime.now(UTC).date():
            return Case(case.rule, f"{case.title} (waived until {waiver.until}: {waiver.reason})", case.subject, _nothing)
    return case


_nothing: Callable[[], list[Problem]] = list
