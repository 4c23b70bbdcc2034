"""What has to hold before a dataset may be published: Satu Data's four principles as far as a machine can look. Pure.

Perpres 39/2019: standard data, metadata, interoperability, reference codes. The findings are read by the agency that made the data
(Produsen Data), so they are in Indonesian.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.events.nik import contains_nik
from consumers.ppid.ledger import Row
from consumers.ppid.metadata import EXCLUDED, Directory, Metadata

#: Fields of MS-Ind (Peraturan BPS 5/2020) that an indicator cannot do without.
REQUIRED = ("konsep", "definisi", "rumus", "satuan", "ukuran", "klasifikasi", "produsen_data")
_BLANK = frozenset({"", "-", "--", "?", "n/a", "tbd", "todo", "belum ada", "xxx"})
#: Licence of an indicator file -> its name in the EU's vocabulary, its address, its name for CKAN, its title.
LICENCES: dict[str, tuple[str, str, str, str]] = {
    "CC-BY-4.0": ("CC_BY_4_0", "https://creativecommons.org/licenses/by/4.0/", "cc-by", "Creative Commons Attribution 4.0"),
    "CC-BY-SA-4.0": ("CC_BYSA_4_0", "https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa", "Creative Commons Attribution-ShareAlike 4.0"),
    "CC0-1.0": ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/", "cc-zero", "Creative Commons Zero 1.0"),
}  # fmt: skip
_SHOWN = 5


def metadata_findings(metadata: Metadata) -> list[str]:
    """What is wrong with the metadata; nothing when they are complete."""
    return list(_metadata_findings(metadata))


def data_findings(rows: Iterable[Row], directory: Directory) -> list[str]:
    """What is wrong with the rows that would be shown; nothing when they may be."""
    unknown: set[str] = set()
    identifiers = 0
    for row in rows:
        dimensions = row.said.dimensions
        code = dimensions.get("region")
        if code is not None and not directory.knows_region(code):
            unknown.add(code)
        identifiers += any(text is not None and contains_nik(text) for text in (*dimensions.values(), row.said.label))
    found = []
    if unknown:
        shown = ", ".join(sorted(unknown)[:_SHOWN])
        found.append(f"kode wilayah tidak ada dalam tabel rujukan: {shown}{' …' if len(unknown) > _SHOWN else ''} ({len(unknown)} kode)")
    if identifiers:
        found.append(f"{identifiers} baris memuat nomor yang tersusun seperti NIK")
    return found


def _metadata_findings(metadata: Metadata) -> Iterator[str]:
    if metadata.publish_class == EXCLUDED:
        yield "kelas informasi dikecualikan (UU 14/2008 pasal 17): tidak boleh diumumkan"
    if not metadata.satu_data:
        yield "metadata Satu Data (MS-Ind) belum ada: bagian [satu_data]"
    for name in REQUIRED if metadata.satu_data else ():
        if metadata.satu_data.get(name, "").strip().lower() in _BLANK:
            yield f"metadata Satu Data belum lengkap: satu_data.{name} kosong"
    for language in ("id", "en"):
        if not metadata.title.get(language, "").strip():
            yield f"judul ({language}) kosong"
    if metadata.satu_data and metadata.satu_data.get("satuan") != metadata.unit:
        yield f"satuan tidak sama: satu_data.satuan {metadata.satu_data.get('satuan')!r}, unit {metadata.unit!r}"
    if metadata.licence not in LICENCES:
        yield f"lisensi {metadata.licence!r} tidak dikenal; yang boleh: {', '.join(LICENCES)}"
