"""A rules: what an agency has to do with others and with those who install it. A01, the import contracts, is import-linter's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import BaseModel

from bus.errors import Problem
from bus.indicators.privacy import unread_fields
from bus.ingest.kinds import SourceSpec
from bus.ingest.manifest import MANIFEST
from bus.ingest.privacy.agreements import domain_problems, read_agreements
from bus.ingest.privacy.keys import AGENCY_SETTINGS
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.rules_connectors import AgencySubject, agency_subjects
from bus.testing.workspace import Workspace


def join_domain_is_agreed(subject: AgencySubject) -> Iterable[Problem]:
    if subject.agency is None:
        return
    agreements, problems = read_agreements(subject.workspace.settings.schemas_roots())
    domain, today = subject.agency.manifest.privacy.join_domain, datetime.now(UTC).date()
    if domain not in {"", subject.agency.id}:
        yield from problems
    for what in domain_problems(subject.agency.id, domain, agreements, today):
        yield Problem(f"{subject.folder / MANIFEST}: privacy.join_domain", what)


def settings_are_told(subject: AgencySubject) -> Iterable[Problem]:
    """A setting that a source's kind, or [totals], explains needs no more words; any other is given with what it is."""
    if subject.agency is None:
        return
    manifest = subject.agency.manifest
    parts = [*manifest.sources.values(), *([] if manifest.totals is None else [manifest.totals])]
    explained = {name for part in parts for name in _explained(part)}
    for name in manifest.settings:
        words = manifest.settings[name] if isinstance(manifest.settings, dict) else ""
        if name in AGENCY_SETTINGS:
            yield Problem(f"{subject.folder / MANIFEST}: settings", f"{name!r} is a setting that every agency has; leave it out")
        elif name not in explained and len(words.split()) < 3:
            what = f'no source explains {name!r}: write settings = {{ {name} = "what it is, in words" }}'
            yield Problem(f"{subject.folder / MANIFEST}: settings", what)


def _explained(spec: BaseModel) -> Iterator[str]:
    """The settings that a source, or a part of it, names in fields which say what they are."""
    if isinstance(spec, SourceSpec):
        yield from spec.wanted_settings
    for field in type(spec).model_fields:
        value = getattr(spec, field)
        if isinstance(value, BaseModel):
            yield from _explained(value)
        elif field == "setting" or field.endswith("_setting"):
            yield from [value] if isinstance(value, str) else value or ()


def no_more_than_is_needed(subject: AgencySubject) -> Iterable[Problem]:
    """What no indicator reads of a person does not stand in clear. Computed from the indicators that are there."""
    if subject.agency is None:
        return
    specs = {name: each.spec for name, each in subject.workspace.indicators.items()}
    for name in subject.agency.manifest.events:
        event = subject.workspace.catalogue.types.get(name)
        for field in unread_fields(event, specs) if event is not None else ():
            yield Problem(
                event.where if event is not None else name,
                f'field {field} says something of a person and no indicator reads it: seal it ("sealed": true) or leave it out',
            )


RULES: tuple[Rule[AgencySubject], ...] = (
    Rule("A02", "pseudonyms are shared only by agencies of an agreement in force", join_domain_is_agreed),
    Rule("A03", "every setting says what it is", settings_are_told),
    Rule("A04", "a quasi identifier stands in clear only where an indicator reads it", no_more_than_is_needed),
)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each agency's folder."""
    yield from cases_of(RULES, agency_subjects(workspace))
