"""What a replaced pseudonym key asks of the agencies: which event types hold its pseudonyms, and the type that maps the old to the new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.envelope import EventType
from bus.events.personal import holds_pseudonym, is_mapping_type, mapping_type
from bus.events.release import release
from bus.ingest.manifest import MANIFEST, Agency
from bus.ingest.privacy.keyring import replace_file
from bus.settings import ROOT
from bus.testing.samples import samples_of
from bus.testing.scaffold.templates import envelope_fields


def holders(agency: Agency, catalogue: Catalogue) -> list[str]:
    """The agency's event types that hold pseudonyms: by their schemas (`"pii": "direct"`), or in the subjects and texts of its samples.

    Its mapping type is none of them: it tells of both keys. Raises what a mapping that cannot be imported raises.
    """
    mine = [schema for schema in catalogue.types.values() if schema.type.agency == agency.id]
    found = {schema.name for schema in mine if any(field.pii == "direct" for field in schema.fields.values())}
    found |= {
        event.type
        for sample in samples_of(agency)
        for outcome in sample.accepted()
        for event in outcome.events
        if any(map(holds_pseudonym, _texts([event.subject, event.data])))
    }
    return sorted(name for name in found if not is_mapping_type(name, agency.id))


def add_mapping_type(agency: Agency) -> list[Path]:
    """Write and release the schema of the agency's mapping type and declare it, restricted, where that is not done; the files written.

    They lie beside the agency's folder, in the repository or an overlay. Raises `ConfigurationError` when they cannot be written.
    """
    name, root = mapping_type(agency.id), agency.folder.parent.parent
    schema, manifest, written = root / "schemas" / EventType.parse(name).path, agency.folder / MANIFEST, list[Path]()
    try:
        if not schema.exists():
            schema.parent.mkdir(parents=True, exist_ok=True)
            schema.write_text(_schema(agency.id), encoding="utf-8")
            written.append(schema)
        release(root / "schemas", overlay=root.resolve() != ROOT)
        if name not in agency.manifest.events:
            mode, text = manifest.stat().st_mode, manifest.read_text(encoding="utf-8")
            replace_file(manifest, f'{text.rstrip()}\n\n[events."{name}"]\naccess = "restricted"\n'.encode())
            manifest.chmod(mode & 0o777)
            written.append(manifest)
    except OSError as error:
        raise ConfigurationError([Problem(str(error.filename or schema), f"cannot be written: {error.strerror}")]) from error
    return written


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            yield from _texts(value.values())
        case Iterable() if not isinstance(value, bytes):
            for each in value:
                yield from _texts(each)


def _schema(agency: str) -> str:
    personal = {"pii": "direct", "class": "general"}
    record = {
        "type": "record",
        "name": "v1",
        "namespace": f"{agency}.pseudonym.mapped",
        "correctable": True,
        "doc": (
            "Which pseudonym of a key that leaked is which of the next key. Subject: the new pseudonym; occurred_at: when it was published."
            " Restricted: with the leaked key it leads to the new pseudonyms, so it is deleted when everybody has used it."
        ),
        "fields": [
            *envelope_fields(),
            {"name": "old", "type": "string", "doc": "The pseudonym under the key that leaked.", **personal},
            {"name": "new", "type": "string", "doc": "The pseudonym of the same person under the new key.", **personal},
        ],
    }
    return json.dumps(record, indent=2) + "\n"
