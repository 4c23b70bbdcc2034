"""The walidata gate: draft → checked → published, or returned with a note to whoever made the data (Perpres 39/2019).

A check looks at metadata and rows; what changed is written to the change log that the public reads. What the public sees of a dataset are the
metadata that were approved, until others are. A published dataset is taken down when its rows fail a check, when its class becomes
"dikecualikan", or when a person returns it; metadata that fail only leave the approved ones standing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from bus import metrics
from bus.errors import ConfigurationError, Problem
from bus.events.nik import contains_nik
from consumers.ppid import tables
from consumers.ppid.checks import metadata_findings
from consumers.ppid.database import Database
from consumers.ppid.metadata import EXCLUDED, Metadata

DRAFT, CHECKED, PUBLISHED, RETURNED = "draft", "checked", "published", "returned"
STATES = (DRAFT, CHECKED, PUBLISHED, RETURNED)
#: Who makes the changes that nobody makes by hand.
AUTOMATIC = "pemeriksaan otomatis"
_D, _C = tables.dataset.c, tables.change.c


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a dataset stands. `approved` are the metadata that the public reads; None: nobody sees the dataset."""

    indicator: str
    state: str
    note: str = ""
    evidence: str = ""
    held: bool = False
    approved: Metadata | None = None
    first_published_us: int | None = None
    changed_us: int = 0
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change log."""

    number: int
    at_us: int
    indicator: str
    title: str
    was: str
    became: str
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check found in a dataset's metadata and rows."""

    metadata: Metadata
    in_metadata: Sequence[str]
    in_data: Sequence[str]

    @property
    def findings(self) -> list[str]:
        return [*self.in_metadata, *self.in_data]

    @property
    def evidence(self) -> str:
        """Changes when a new look is needed."""
        return hashlib.sha256("\n".join([self.metadata.digest(), *self.findings]).encode()).hexdigest()


def judge(metadata: Metadata, in_data: Sequence[str]) -> Judgement:
    """The check of metadata and of rows whose findings are given."""
    return Judgement(metadata, metadata_findings(metadata), in_data)


def steps(standing: Standing | None, judgement: Judgement, *, auto: bool) -> list[Standing]:
    """The states that a dataset goes through because of a check, each with who and why; none when nothing is new. Pure."""
    found: list[Standing] = []
    metadata = judgement.metadata
    if standing is None:
        standing = Standing(metadata.id, DRAFT, "data pertama diterima", changed_by=AUTOMATIC)
        found.append(standing)
    elif standing.evidence == judgement.evidence:
        return []
    base = replace(standing, evidence=judgement.evidence, changed_by=AUTOMATIC)
    if judgement.findings:
        taken_down = bool(judgement.in_data) or metadata.publish_class == EXCLUDED
        note = "; ".join(judgement.findings)
        found.append(replace(base, state=RETURNED, note=note, approved=None if taken_down else standing.approved))
        return found
    found.append(replace(base, state=CHECKED, note="metadata lengkap, kode rujukan sah, lisensi dikenal"))
    if auto and not standing.held:
        found.append(_published(found[-1], metadata, AUTOMATIC, "diumumkan setelah lolos semua pemeriksaan"))
    return found


def _published(standing: Standing, metadata: Metadata, who: str, note: str) -> Standing:
    if standing.approved is not None and standing.approved != metadata:
        note = f"{note}; metadata diperbarui (versi definisi {metadata.version})"
    return replace(standing, state=PUBLISHED, note=note, approved=metadata, held=False, changed_by=who)


class Gate:
    """The states in the store's database. All calls block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self) -> Mapping[str, Standing]:
        """Every dataset's state, by id."""
        query = sa.select(tables.dataset).order_by(_D.indicator)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {standing.indicator: standing for standing in map(_standing, rows)}

    def changes(self, *, limit: int = 1000, indicator: str | None = None) -> Sequence[Change]:
        """The change log, the newest first."""
        query = sa.select(tables.change).order_by(_C.number.desc()).limit(limit)
        if indicator is not None:
            query = query.where(_C.indicator == indicator)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Change(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def examine(self, judgement: Judgement, *, auto: bool, now_us: int) -> Standing | None:
        """Let a check move the dataset on; where it stands then, or None when nothing changed."""

        def work(connection: sa.Connection) -> Standing | None:
            before = _locked(connection, judgement.metadata.id)
            found = steps(before, judgement, auto=auto)
            for after in found:
                before = _move(connection, before, after, judgement.metadata.title["id"], now_us)
            return found[-1] if found else None

        return _counted(self._database.write(work))

    def publish(self, judgement: Judgement, *, who: str, note: str, now_us: int) -> Standing:
        """Walidata publish a dataset. Raises `ConfigurationError` with the findings when a check stands against it."""
        id_ = judgement.metadata.id
        _refuse_personal(note, who)
        if judgement.findings:
            raise ConfigurationError([Problem(id_, finding) for finding in judgement.findings])

        def work(connection: sa.Connection) -> Standing:
            before = _locked(connection, id_)
            base = replace(before or Standing(id_, DRAFT), evidence=judgement.evidence)
            after = _published(base, judgement.metadata, who, note or "diumumkan")
            return _move(connection, before, after, judgement.metadata.title["id"], now_us)

        return _counted(self._database.write(work)) or Standing(id_, PUBLISHED)

    def give_back(self, indicator: str, *, who: str, note: str, now_us: int) -> Standing:
        """Walidata return a dataset to its Produsen Data, with a note; nobody sees it until a person publishes it again.

        Raises `ConfigurationError` without a note, or for a dataset that there is not.
        """
        _refuse_personal(note, who)
        if not note.strip():
            raise ConfigurationError([Problem("--note", "say what the Produsen Data have to mend; the note is public")])

        def work(connection: sa.Connection) -> Standing:
            before = _locked(connection, indicator)
            if before is None:
                raise ConfigurationError([Problem(indicator, "is no dataset of the store; `bus ppid list` shows those there are")])
            title = before.approved.title["id"] if before.approved else indicator
            after = replace(before, state=RETURNED, note=note.strip(), approved=None, held=True, changed_by=who)
            return _move(connection, before, after, title, now_us)

        return _counted(self._database.write(work)) or Standing(indicator, RETURNED)


def _refuse_personal(*texts: str) -> None:
    if any(contains_nik(text) for text in texts):
        raise ConfigurationError([Problem("--note", "holds a number with the structure of a NIK; the change log is public")])


def _locked(connection: sa.Connection, indicator: str) -> Standing | None:
    row = connection.execute(sa.select(tables.dataset).where(_D.indicator == indicator).with_for_update()).first()
    return None if row is None else _standing(row)


def _standing(row: sa.Row[*tuple[object, ...]]) -> Standing:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    approved = values.pop("approved")
    return Standing(**values, approved=None if approved is None else Metadata.model_validate_json(approved))


def _move(connection: sa.Connection, before: Standing | None, after: Standing, title: str, now_us: int) -> Standing:
    """Write the new state and its line of the change log."""
    first = after.first_published_us or (now_us if after.state == PUBLISHED else None)
    after = replace(after, changed_us=now_us, first_published_us=first)
    values = {
        "state": after.state, "note": after.note, "evidence": after.evidence, "held": after.held, "first_published_us": first,
        "approved": None if after.approved is None else after.approved.model_dump_json(), "changed_us": now_us, "changed_by": after.changed_by,
    }  # fmt: skip
    if before is None:
        connection.execute(sa.insert(tables.dataset).values(indicator=after.indicator, **values))
    else:
        connection.execute(sa.update(tables.dataset).where(_D.indicator == after.indicator).values(**values))
    line = {"at_us": now_us, "indicator": after.indicator, "title": title, "was": before.state if before else "", "became": after.state}
    connection.execute(sa.insert(tables.change).values(**line, who=after.changed_by, note=after.note))
    return after


def _counted(after: Standing | None) -> Standing | None:
    if after is not None:
        metrics.ppid_publications.labels(outcome=after.state).inc()
    return after
