"""Lists that people and offices read: the Daftar Informasi Publik, the change log, and metadata as BPS INDAH takes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bus.indicators.windows import to_datetime
from bus.settings import PpidSettings
from consumers.ppid.addresses import Addresses
from consumers.ppid.files import harmless, lines
from consumers.ppid.gate import Change, Standing
from consumers.ppid.library import Card
from consumers.ppid.metadata import Metadata
from consumers.ppid.package import FORMATS
from consumers.ppid.table import iso

#: Class of information (UU 14/2008 art. 9 to 11) as the list says it.
CATEGORIES = {"berkala": "Informasi berkala", "serta_merta": "Informasi serta merta", "setiap_saat": "Informasi setiap saat"}
#: Columns of the Daftar Informasi Publik as PPIDs publish it, with what each is called.
DIP_COLUMNS = {
    "nomor": "No.",
    "judul": "Judul informasi",
    "ringkasan": "Ringkasan isi informasi",
    "unit_menguasai": "Pejabat/unit yang menguasai informasi",
    "penanggung_jawab": "Penanggung jawab pembuatan",
    "waktu_tempat": "Waktu dan tempat pembuatan",
    "bentuk": "Bentuk informasi yang tersedia",
    "jangka_waktu": "Jangka waktu penyimpanan",
    "kategori": "Kategori",
    "alamat": "Alamat",
}
_FREQUENCIES = {
    "15m": "LAINNYA", "1h": "LAINNYA", "1d": "HARIAN", "1w": "MINGGUAN", "1mo": "BULANAN", "1q": "TRIWULANAN", "6mo": "SEMESTERAN", "1y": "TAHUNAN",
    "now": "HARIAN",
}  # fmt: skip


def public_information(cards: Sequence[Card], addresses: Addresses, place: str) -> list[dict[str, str]]:
    """A row of the Daftar Informasi Publik for each published dataset."""
    return [
        {
            "nomor": str(number),
            "judul": card.metadata.title["id"],
            "ringkasan": card.metadata.satu_data["definisi"],
            "unit_menguasai": card.metadata.agency_title["id"],
            "penanggung_jawab": card.metadata.owner or card.metadata.satu_data["produsen_data"],
            "waktu_tempat": f"{to_datetime(card.moment_us):%Y-%m-%d}, Kabupaten {place}",
            "bentuk": "Digital: " + ", ".join(kind.label for kind in FORMATS.values()),
            "jangka_waktu": "Selama berlaku; semua edisi lama tetap disimpan",
            "kategori": CATEGORIES.get(card.metadata.publish_class, card.metadata.publish_class),
            "alamat": addresses.dataset(card.id),
        }
        for number, card in enumerate(cards, 1)
    ]


def public_information_csv(rows: Sequence[dict[str, str]]) -> bytes:
    """The list as a file for spreadsheets."""
    return b"\xef\xbb\xbf" + lines(list(DIP_COLUMNS.values()), [[harmless(row[name]) for name in DIP_COLUMNS] for row in rows])


def change_lines(changes: Sequence[Change]) -> list[dict[str, object]]:
    """The change log as data."""
    return [
        {
            "number": each.number, "at": iso(each.at_us), "dataset": each.indicator, "title": each.title, "from": each.was or None,
            "to": each.became, "by": each.who, "note": each.note,
        }
        for each in changes
    ]  # fmt: skip


def change_csv(changes: Sequence[Change]) -> bytes:
    """The change log as a file for spreadsheets."""
    rows = change_lines(changes)
    names = ["number", "at", "dataset", "title", "from", "to", "by", "note"]
    return b"\xef\xbb\xbf" + lines(names, [[harmless("" if row[name] is None else str(row[name])) for name in names] for row in rows])


def indah(metadata: Metadata, standing: Standing, settings: PpidSettings, names: Sequence[tuple[str, str]]) -> dict[str, object]:
    """The indicator's metadata (MS-Ind) in the form that BPS INDAH v2 exchanges. `names`: its parts' ids and titles."""
    about = metadata.satu_data
    return {
        "ms_keg_id": None,
        "submission_period": f"{to_datetime(standing.changed_us).year:04d}",
        "data": {
            "nama": metadata.title["id"],
            "konsep": [about["konsep"]],
            "definisi": about["definisi"],
            "interpretasi": about.get("interpretasi", ""),
            "metode_perhitungan": about["rumus"],
            "rumus": about["rumus"],
            "ukuran": about["ukuran"],
            "satuan": about["satuan"],
            "variabel_disaggregasi": [{"nama": each.name, "sumber": about["produsen_data"]} for each in metadata.dimensions],
            "apakah_indikator_komposit": metadata.composite,
            "indikator_pembangun": [{"kode": id_, "nama": title} for id_, title in names],
            "variabel_pembangun": []
            if metadata.composite
            else [{"nama": about["konsep"], "kegiatan_penghasil": ["Kompilasi produk administrasi: " + (metadata.event or metadata.id)]}],
            "level_estimasi": about["klasifikasi"],
            "apakah_indikator_bisa_diakses_umum": True,
            "cara_pengumpulan": "KOMPILASI_PRODUK_ADMINISTRASI",
            "frekuensi": _FREQUENCIES.get(metadata.window, "LAINNYA"),
        },
        "status": "SUBMITTED" if standing.state == "published" else "DRAFT",
        "rejection_note": standing.note if standing.state == "returned" else None,
        "submitter": settings.walidata,
        "produsen_data": about["produsen_data"],
        "walidata_pusat": settings.walidata,
        "version": metadata.version,
    }
