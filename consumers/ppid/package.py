"""What lies beside a vintage's files: a Frictionless data package that describes them, and where the numbers come from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bus.indicators.windows import LOCAL_ZONE, to_datetime, to_micros
from consumers.ppid.checks import LICENCES
from consumers.ppid.metadata import Metadata
from consumers.ppid.store import Table
from consumers.ppid.table import Column, Sheet, iso


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file: its name's ending, what it is called, its media type, and its name in the EU's list of file types."""

    ending: str
    label: str
    media_type: str
    eu: str
    about: str


FORMATS: Mapping[str, Format] = {
    each.ending: each
    for each in (
        Format("csv", "CSV", "text/csv", "CSV", "CSV (UTF-8, aman dibuka di lembar kerja)"),
        Format("json", "JSON", "application/json", "JSON", "JSON, angka desimal tepat sebagai teks"),
        Format("parquet", "Parquet", "application/vnd.apache.parquet", "PARQUET", "Apache Parquet, kolom bertipe"),
        Format("xlsx", "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "XLSX", "Lembar kerja Excel"),
        Format(
            "sdmx.csv", "SDMX-CSV", "application/vnd.sdmx.data+csv;version=2.0.0", "CSV", "SDMX-CSV 2.0 dengan OBS_STATUS dan CONF_STATUS"
        ),
    )
}
_VINTAGE = re.compile(r"\d{8}T\d{6}(?:\.(\d{6}))?Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Made:
    """A file's hash and size."""

    sha256: str
    size: int


def vintage_name(moment_us: int) -> str:
    """The vintage's name in addresses: its release in UTC, `20260301T170000Z`."""
    seconds, micros = divmod(moment_us, 1_000_000)
    text = to_datetime(seconds * 1_000_000).astimezone(tz=UTC).strftime("%Y%m%dT%H%M%S")
    return f"{text}.{micros:06d}Z" if micros else f"{text}Z"


def vintage_moment(name: str) -> int | None:
    """The moment that a vintage's name, a date (its end, in Asia/Jakarta) or a moment with its offset means; None for none of these."""
    match = _VINTAGE.fullmatch(name)
    try:
        if match:
            moment = datetime.strptime(name.partition(".")[0].rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            moment += timedelta(microseconds=int(match[1] or 0))
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", name, re.ASCII):
            moment = datetime.fromisoformat(name).replace(tzinfo=LOCAL_ZONE) + timedelta(days=1) - timedelta(microseconds=1)
        else:
            moment = datetime.fromisoformat(name.replace(" ", "+"))
            if moment.tzinfo is None:
                return None
        return to_micros(moment)
    except (ValueError, OverflowError):
        return None


def data_package(
    metadata: Metadata, table: Table, sheet: Sheet, made: Mapping[str, Made], *, address: str, publisher: str, contact: str
) -> bytes:
    """`datapackage.json` (Data Package v2). Paths are names beside it, so it holds wherever the folder is copied to."""
    _, licence_url, _, licence_title = LICENCES[metadata.licence]
    fields = [field_of(column) for column in sheet.columns]
    schema = {"fields": fields, "missingValues": [""]}
    resources: list[dict[str, object]] = []
    for ending, file in made.items():
        kind = FORMATS[ending]
        resource: dict[str, object] = {
            "name": f"{metadata.name}-{ending.replace('.', '-')}", "path": f"{metadata.id}.{ending}", "title": kind.label,
            "description": kind.about, "format": ending.rpartition(".")[2], "mediatype": kind.media_type,
            "bytes": file.size, "type": "file", "hash": f"sha256:{file.sha256}",
        }  # fmt: skip
        if ending == "csv":
            resource |= {"type": "table", "encoding": "utf-8", "dialect": {"delimiter": ",", "lineTerminator": "\r\n"}, "schema": schema}
        resources.append(resource)
    package = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": metadata.name,
        "id": address,
        "title": metadata.title["id"],
        "description": metadata.satu_data.get("definisi", ""),
        "version": f"{metadata.version}.0.0+{vintage_name(table.moment_us)}",
        "created": iso(table.moment_us),
        "homepage": address,
        "keywords": keywords(metadata),
        "licenses": [{"name": metadata.licence, "path": licence_url, "title": licence_title}],
        "contributors": [
            {"title": metadata.agency_title["id"], "roles": ["author"]},
            {"title": publisher, "roles": ["publisher"]},
        ],
        "sources": [{"title": metadata.satu_data.get("produsen_data", metadata.agency_title["id"]), "email": contact}],
        "satu_data": dict(metadata.satu_data),
        "resources": resources,
    }
    return _json(package)


def provenance(metadata: Metadata, table: Table, made: Mapping[str, Made]) -> bytes:
    """Where the numbers come from: definition, release, place in the public log, and up to where the event log had been read."""
    furthest: dict[tuple[str, int], int] = {}
    for row in table.rows:
        for topic, partition, offset in row.said.evidence:
            furthest[topic, partition] = max(furthest.get((topic, partition), -1), offset)
    return _json(
        {
            "dataset": metadata.id,
            "vintage": vintage_name(table.moment_us),
            "released_at": iso(table.moment_us),
            "complete": table.complete,
            "definition": {"version": metadata.version, "sha256": metadata.definition_sha256, "event": metadata.event or None},
            "row_versions": sorted({row.said.version for row in table.rows}),
            "rows": len(table.rows),
            "withheld_rows": sum(row.said.suppressed for row in table.rows),
            "public_log": {"topic": f"public.{metadata.id}", "generation": table.generation, "schema": "bus.public_value.v1"},
            "evidence": [{"topic": topic, "partition": number, "offset": offset} for (topic, number), offset in sorted(furthest.items())],
            "cells": [
                {"cell": json.loads(row.said.cell), "offset": row.offset, "evidence": [list(each) for each in row.said.evidence]}
                for row in table.rows
            ],
            "files": {f"{metadata.id}.{ending}": {"sha256": file.sha256, "bytes": file.size} for ending, file in made.items()},
            "verify": f"bus verify {metadata.id}",
        }
    )


def field_of(column: Column) -> dict[str, object]:
    """A column in Table Schema's words."""
    field: dict[str, object] = {"name": column.name, "type": column.kind, "description": column.about_en or column.name}
    if column.kind == "datetime":
        field["format"] = "any"
    return field


def keywords(metadata: Metadata) -> list[str]:
    """Words under which the dataset is found."""
    words: Sequence[str] = (
        metadata.satu_data.get("konsep", ""), metadata.agency_title["id"], metadata.publish_class.replace("_", " "), "satu data", "boyolali",
    )  # fmt: skip
    return list(dict.fromkeys(word.strip().lower() for word in words if word.strip()))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
