"""What the page shows, as data: the list with its facets, and one dataset with rows, chart, vintages, files and examples. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bus.indicators.windows import NOW_START
from consumers.ppid.addresses import Addresses, identifier
from consumers.ppid.checks import LICENCES
from consumers.ppid.gate import Change
from consumers.ppid.library import Card
from consumers.ppid.listing import CATEGORIES, change_lines
from consumers.ppid.package import FORMATS, Made, keywords, vintage_name
from consumers.ppid.shelf import ARCHIVE, PACKAGE, PROVENANCE, SUMS, Volume
from consumers.ppid.store import Vintage
from consumers.ppid.table import iso

_PREVIEW_ROWS = 100
#: A chart of more points, or lines, is none.
_POINTS, _LINES = 60, 6


def list_view(cards: Sequence[Card], addresses: Addresses) -> dict[str, object]:
    """All datasets, with what search and facets need."""
    agencies = {card.metadata.agency: dict(card.metadata.agency_title) for card in cards}
    return {
        "datasets": [
            {
                "id": card.id, "title": dict(card.metadata.title), "agency": card.metadata.agency, "class": card.metadata.publish_class,
                "window": card.metadata.window, "unit": card.metadata.unit, "about": card.metadata.satu_data["definisi"],
                "keywords": keywords(card.metadata), "rows": card.rows, "released_at": iso(card.moment_us), "vintage": card.vintage,
                "formats": [FORMATS[ending].label for ending in card.made],
            }
            for card in cards
        ],
        "agencies": agencies,
        "classes": CATEGORIES,
        "catalogue": {form: f"{addresses.base}/catalog.{form}" for form in ("ttl", "jsonld")},
    }  # fmt: skip


def dataset_view(
    card: Card, volume: Volume, vintages: Sequence[Vintage], made: Mapping[str, Made], changes: Sequence[Change], addresses: Addresses
) -> dict[str, object]:
    """One dataset in one of its vintages."""
    metadata, sheet, vintage = card.metadata, volume.sheet, volume.vintage
    _, licence_url, _, licence = LICENCES[metadata.licence]
    newest_first = [list(row) for row in reversed(sheet.rows[-_PREVIEW_ROWS:])]
    files = [
        {
            "name": f"{card.id}.{ending}", "label": FORMATS[ending].label, "about": FORMATS[ending].about, "bytes": each.size,
            "sha256": each.sha256, "url": addresses.file(card.id, ending, vintage), "latest": addresses.file(card.id, ending),
        }
        for ending, each in made.items()
    ]  # fmt: skip
    return {
        "id": card.id,
        "title": dict(metadata.title),
        "agency": {"id": metadata.agency, **{f"title_{key}": text for key, text in metadata.agency_title.items()}, "owner": metadata.owner},
        "class": {"id": metadata.publish_class, "title": CATEGORIES.get(metadata.publish_class, metadata.publish_class)},
        "licence": {"id": metadata.licence, "title": licence, "url": licence_url},
        "satu_data": dict(metadata.satu_data),
        "unit": metadata.unit,
        "decimals": metadata.decimals,
        "window": metadata.window,
        "version": metadata.version,
        "event": metadata.event,
        "source": metadata.source,
        "min_cell": metadata.min_cell,
        "columns": [
            {"name": c.name, "kind": c.kind, "about": {"id": c.about_id, "en": c.about_en}, "dimension": c.dimension} for c in sheet.columns
        ],
        "rows": newest_first,
        "total": len(sheet.rows),
        "withheld": sum(row.said.suppressed for row in volume.table.rows),
        "chart": chart(volume),
        "vintage": {
            "name": vintage,
            "released_at": iso(volume.table.moment_us),
            "complete": volume.table.complete,
            "newest": vintage == card.vintage,
        },
        "vintages": [
            {"name": vintage_name(each.moment_us), "released_at": iso(each.moment_us), "changed": each.changed} for each in vintages
        ],
        "files": files,
        "beside": {name: addresses.beside(card.id, name, vintage) for name in (PACKAGE, PROVENANCE, SUMS, ARCHIVE)},
        "rdf": {form: f"{addresses.dataset(card.id)}/dcat.{form}" for form in ("ttl", "jsonld")},
        "indah": f"{addresses.dataset(card.id)}/indah.json",
        "api": {
            "datastore": f"{addresses.base}/api/3/action/datastore_search?resource_id={identifier('resource', card.id, 'csv')}&limit=5",
            "package": f"{addresses.base}/api/3/action/package_show?id={metadata.name}",
            "as_of": f"{addresses.folder(card.id, '2026-03-01')}/{card.id}.csv",
        },
        "changes": change_lines(changes),
    }


def chart(volume: Volume) -> dict[str, object]:
    """Lines over time, one for each combination of dimensions with most points; or bars where the rows are of one moment only."""
    rows = [row.said for row in volume.table.rows]
    lines: dict[str, list[list[str | None]]] = {}
    for said in rows:
        if said.window_start_us != NOW_START:
            name = " · ".join(value or "–" for value in said.dimensions.values())
            lines.setdefault(name, []).append([iso(said.window_start_us)[:16], said.value])
    if any(len(points) > 1 for points in lines.values()):
        most = sorted(lines.items(), key=lambda item: (-len(item[1]), item[0]))[:_LINES]
        return {"kind": "lines", "lines": [{"name": name, "points": points[-_POINTS:]} for name, points in sorted(most)]}
    last = max((said.window_start_us for said in rows), default=0)
    bars = [[" · ".join(value or "–" for value in said.dimensions.values()), said.value] for said in rows if said.window_start_us == last]
    bars.sort(key=lambda bar: -float(bar[1] or "-inf") if bar[1] is not None else float("inf"))
    return {"kind": "bars", "bars": bars[:20]}
