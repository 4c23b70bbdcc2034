"""Writes the folder, schema and indicator of a new agency, gives the schema its id and the sample its expectation."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.events.release import release
from bus.ingest.manifest import MANIFEST, read_manifest
from bus.settings import ROOT, Settings
from bus.testing.samples import samples_of, write_expectations
from bus.testing.scaffold import templates

_ID = re.compile(r"^[a-z][a-z0-9_]{1,30}$")

KINDS = tuple(templates.SOURCES)


def new_agency(agency: str, *, kind: str, into: Path) -> list[Path]:
    """Write the agency into a folder with connectors/ and schemas/ (made where they are missing); the files written.

    Raises `ConfigurationError` for a name that is no agency's, for anything that is there already, and for a schemas folder that does not
    load; nothing of the agency is written then.
    """
    files = {into / name: text for name, text in _content(agency, kind).items()}
    problems = [*_wrong_name(agency), *([] if kind in KINDS else [Problem("--kind", f"{kind!r}; allowed: {', '.join(KINDS)}")])]
    problems += [Problem(str(path), "is there already; nothing was written") for path in files if path.exists()]
    if (into / "connectors" / agency).exists() and not problems:
        problems = [Problem(str(into / "connectors" / agency), "is there already; nothing was written")]
    if problems:
        raise ConfigurationError(problems)
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        release(into / "schemas", overlay=into.resolve() != ROOT)
        found, wrong = read_manifest(into / "connectors" / agency / MANIFEST)
        if found is None or wrong:
            raise ConfigurationError(wrong)
        samples = samples_of(found)
        write_expectations(samples)
    except ConfigurationError:
        for path in files:
            path.unlink(missing_ok=True)
        raise
    return sorted([*files, *(sample.expectation for sample in samples)])


def _wrong_name(agency: str) -> list[Problem]:
    taken = {*Settings.model_fields, "bus", "test"}
    if not _ID.match(agency):
        return [Problem(agency, "an agency's id is lower case, with digits and _, 2 to 31 characters")]
    return [Problem(agency, f"is the name of a section of settings (BUS_{agency.upper()}); choose another")] if agency in taken else []


def _content(agency: str, kind: str) -> dict[str, str]:
    """Path -> text of each file."""
    base = f"connectors/{agency}"
    given, sample = templates.SOURCES.get(kind, templates.SOURCES["files"]), "contoh.csv" if kind == "files" else "contoh.jsonl"
    fill = {"@agency@": agency, "@Agency@": agency.replace("_", " ").title(), "@AGENCY@": agency.upper()}
    fill |= {"@settings@": json.dumps([*given.settings]), "@source@": given.manifest.strip()}
    texts = {
        f"{base}/__init__.py": '"""@Agency@."""\n',
        f"{base}/{MANIFEST}": templates.MANIFEST,
        f"{base}/mapping.py": templates.MAPPING,
        f"{base}/samples/layanan/{sample}": templates.CSV if kind == "files" else templates.JSON_LINES,
        f"schemas/events/{agency}/service.completed.v1.avsc": templates.SCHEMA,
        f"schemas/indicators/{agency}.services_month.toml": templates.INDICATOR,
    }
    for mark, value in fill.items():
        texts = {path: text.replace(mark, value) for path, text in texts.items()}
    return texts
