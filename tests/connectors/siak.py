"""Disdukcapil's side in the tests: a database with what views.sql gives."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.connectors.agency_site import agency_world
from tests.pipeline.ingest_world import World

#: View -> its columns.
VIEWS = {
    "kelahiran": "bayi_no integer, nik, jenis_klmin integer, tgl_lahir, plpr_tgl_lapor, no_kec integer, no_kel integer, batal integer, diubah",
    "kematian": "mati_no integer, nik, jenis_klmin integer, tgl_mati, plpr_tgl_lapor, no_kec integer, no_kel integer, batal integer, diubah",
    "datang": "datang_no, nik, jenis_klmin integer, tgl_datang, created_date, klasifikasi integer, no_kec integer, no_kel integer, batal integer, "
    "diubah",
    "pindah": "pindah_no, nik, jenis_klmin integer, tgl_pindah, created_date, klasifikasi integer, no_kec integer, no_kel integer, batal integer, "
    "diubah",
    "kawin": "kawin_no integer, tgl_kawin, kawin_tgl_lapor, no_kec integer, no_kel integer, batal integer, diubah",
    "cerai": "cerai_no integer, tgl_cerai, cerai_tgl_lapor, no_kec integer, no_kel integer, batal integer, diubah",
    "biodata": "nik, no_kk, jenis_klmin integer, flag_status integer, no_kec integer, no_kel integer, no_rw integer, no_rt integer, diubah",
}


class Siak:
    """Disdukcapil's side: the views of views.sql as tables of a database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with sqlite3.connect(path) as made:
            made.execute("PRAGMA journal_mode = WAL")
            for name, columns in VIEWS.items():
                made.execute(f"CREATE TABLE bus_{name} ({columns})")
        made.close()

    def put(self, view: str, *rows: tuple[object, ...]) -> None:
        with sqlite3.connect(self.path) as connection:
            for row in rows:
                connection.execute(f"INSERT INTO bus_{view} VALUES ({', '.join('?' * len(row))})", row)
        connection.close()

    def do(self, statement: str) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement)
        connection.close()


def siak_world(base: Path) -> tuple[Siak, World]:
    siak = Siak(base / "siak.db")
    return siak, agency_world(base, "dukcapil", BUS_DUKCAPIL__URL=f"sqlite:///{siak.path}")
