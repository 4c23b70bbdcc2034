"""All schemas that this bus knows, by type and by id, read from the schemas folders (the repository's and the overlays')."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bus.errors import ConfigurationError, Problem
from bus.events.avro import Json, fingerprint_of
from bus.events.envelope import EventType
from bus.events.lock import Release, computed_id, newest, read_lock
from bus.events.schema import EventSchema, Schema, envelope_problems, record_problems

#: Schemas of the bus itself (not events) live in this folder, under names `bus.<file stem>`.
INTERNAL = "bus"


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """An .avsc file: where it is, the name that its path gives it, and its JSON."""

    root: Path
    path: Path
    name: str
    avro: dict[str, Json]

    @property
    def internal(self) -> bool:
        return self.name.startswith(f"{INTERNAL}.")


def read_schemas(root: Path) -> tuple[list[SchemaFile], list[Problem]]:
    """The .avsc files of a schemas folder that can be used, and what is wrong with the others."""
    files, problems = [], []
    for path in sorted(root.rglob("*.avsc")):
        try:
            name = name_of(path.relative_to(root))
            avro = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique_keys)
        except (OSError, ValueError) as error:
            problems.append(Problem(str(path), str(error), "K01"))
            continue
        file = SchemaFile(root, path, name, cast("dict[str, Json]", avro) if isinstance(avro, dict) else {})
        wrong = record_problems(file.avro, name)
        if not wrong and not file.internal:
            wrong = envelope_problems(file.avro)
        problems += [Problem(str(path), what) for what in wrong]
        if not wrong:
            files.append(file)
    return files, problems


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError(f"a key stands twice in one object: {', '.join(key for key, _ in pairs)}")
    return dict(pairs)


def name_of(path: Path) -> str:
    """The schema name that a path (relative to its schemas folder) stands for. Raises `ValueError` when it stands for none."""
    match path.parts:
        case ("events", agency, file):
            return EventType.parse(f"{agency}.{file.removesuffix('.avsc')}").name
        case ("bus", file):
            return f"{INTERNAL}.{file.removesuffix('.avsc')}"
    raise ValueError("a schema file is events/<agency>/<subject>.<action>.v<N>.avsc or bus/<name>.v<N>.avsc")


class Catalogue:
    """Every schema that may be written, and every one that may stand in a record (`by_id`).

    `types` are the event types, by name, sorted; `internal` the schemas of the bus's own records, e.g. `bus.indicator_value.v1`.
    `left_out` are the event types of agencies that this installation does not serve: no topic of theirs is made and nothing reads one,
    but a record that carries one can be decoded.
    """

    def __init__(self, current: Iterable[Schema], superseded: Iterable[Schema] = (), only: Collection[str] = ()) -> None:
        self._current = {schema.name: schema for schema in sorted(current, key=lambda schema: schema.name)}
        self._by_id = {schema.schema_id: schema for schema in (*superseded, *self._current.values())}
        every = {name: schema for name, schema in self._current.items() if isinstance(schema, EventSchema)}
        self.types: Mapping[str, EventSchema] = {n: s for n, s in every.items() if not only or s.type.agency in only}
        self.left_out: Collection[str] = frozenset(every.keys() - self.types.keys())
        self.internal: Mapping[str, Schema] = {n: s for n, s in self._current.items() if not isinstance(s, EventSchema)}

    @classmethod
    def load(cls, roots: Sequence[Path], only: Collection[str] = ()) -> Catalogue:
        """Read all files of all folders; serve the event types of the agencies in `only`, of all when it is empty.

        Raises one `ConfigurationError` that lists everything that is wrong in any of them, an agency without a type included.
        """
        current: list[Schema] = []
        superseded: list[Schema] = []
        problems: list[Problem] = []
        for root in roots:
            files, wrong = read_schemas(root)
            problems += wrong
            try:
                releases = read_lock(root)
            except ConfigurationError as error:
                problems += error.problems
                continue
            found, old, wrong = _with_ids(files, releases)
            current += found
            superseded += old
            problems += wrong
        problems += _collisions(current, superseded)
        agencies = sorted({schema.type.agency for schema in current if isinstance(schema, EventSchema)})
        for unknown in sorted(set(only) - set(agencies)):
            problems.append(Problem("BUS_ONLY_AGENCIES", f"{unknown!r} has no event types; allowed: {', '.join(agencies)}"))
        if problems:
            raise ConfigurationError(problems)
        return cls(current, superseded, only)

    @property
    def schemas(self) -> Sequence[Schema]:
        """Every schema that a record may carry, superseded releases included, in the order of ids."""
        return [self._by_id[key] for key in sorted(self._by_id)]

    def __getitem__(self, name: str) -> EventSchema:
        """The schema of an event type. Raises `KeyError` with the types there are."""
        schema = self.types.get(name)
        if schema is None:
            raise KeyError(f"no event type {name!r}; there are: {', '.join(self.types) or 'none'}")
        return schema

    def __contains__(self, name: object) -> bool:
        return name in self.types

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def schema(self, name: str) -> Schema:
        """The current schema of that name, an event type's or one of the bus's own. Raises `KeyError`."""
        if name not in self._current:
            raise KeyError(f"no schema {name!r}; there are: {', '.join(self._current) or 'none'}")
        return self._current[name]

    def releases(self, name: str) -> Sequence[Schema]:
        """Every release of that schema, oldest first."""
        return sorted((schema for schema in self._by_id.values() if schema.name == name), key=lambda schema: schema.version)

    def by_id(self, schema_id: int) -> Schema | None:
        """The schema that a record with this id was written with, superseded releases included."""
        return self._by_id.get(schema_id)


def build(name: str, avro: dict[str, Json], schema_id: int, version: int = 1, where: str = "") -> Schema:
    """A schema of the right kind for its name."""
    kind = Schema if name.startswith(f"{INTERNAL}.") else EventSchema
    return kind(name, avro, schema_id, version, where)


def _with_ids(files: Sequence[SchemaFile], releases: Sequence[Release] | None) -> tuple[list[Schema], list[Schema], list[Problem]]:
    if releases is None:
        return [build(f.name, f.avro, computed_id(fingerprint_of(f.avro)), where=str(f.path)) for f in files], [], []
    pinned = newest(releases)
    current, problems = [], []
    for file in files:
        release = pinned.get(file.name)
        if release is None:
            problems.append(Problem(str(file.path), "has no id yet: run `bus schemas lock` and commit the lock file", "K04"))
        elif release.fingerprint != fingerprint_of(file.avro):
            problems.append(Problem(str(file.path), CHANGED, "K04"))
        else:
            current.append(build(file.name, file.avro, release.id, release.version, str(file.path)))
    names = {schema.name for schema in current}
    old = [build(r.name, r.schema, r.id, r.version) for r in releases if r.name not in names or pinned[r.name] is not r]
    return current, old, problems


#: What to do about a file that is not the released one any more.
CHANGED = (
    "differs from the released schema of the lock file; a released schema is immutable: undo it, or, when fields with defaults were only "
    "added, run `bus schemas lock` to release it as the next version, or else make a new major (a new file, a new topic)"
)


def _collisions(current: Sequence[Schema], superseded: Sequence[Schema]) -> Iterator[Problem]:
    names: dict[str, Schema] = {}
    ids: dict[int, Schema] = {}
    for schema in current:
        if schema.name in names:
            yield Problem(schema.where, f"{schema.name} is already defined in {names[schema.name].where}")
        names.setdefault(schema.name, schema)
    for schema in (*current, *superseded):
        other = ids.setdefault(schema.schema_id, schema)
        if (other.name, other.version) != (schema.name, schema.version):
            yield Problem(
                schema.where or schema.name,
                f"schema id {schema.schema_id} is already that of {other.name} ({other.where}); pin another in its lock file",
                "K04",
            )
