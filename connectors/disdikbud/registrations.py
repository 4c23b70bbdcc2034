"""A pupil's registration at a school: a fact when it begins, another when it ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from bus.events.envelope import Event
from bus.ingest.forms import Day, Whole
from bus.ingest.privacy import BLANK, subject_of
from bus.ingest.record import parse, value_error
from connectors.disdikbud.school import DapodikRow, Nisn, PupilId, meaning_of, midnight, region_of

ADMITTED = "disdikbud.pupil.admitted.v1"
LEFT = "disdikbud.pupil.left.v1"


class Registration(DapodikRow):
    """registrasi_peserta_didik."""

    registrasi_id: PupilId
    nisn: Annotated[Nisn | None, BLANK]
    jenis_pendaftaran_id: Whole
    tanggal_masuk_sekolah: Day
    jenis_keluar_id: Whole | None
    tanggal_keluar: Day | None


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """Coming, and leaving where there is a day of it. Raises `SourceChanged` or `RecordError`."""
    row = parse(Registration, record)
    kind = meaning_of("admission", row.jenis_pendaftaran_id, field="jenis_pendaftaran_id")
    came = midnight(row.tanggal_masuk_sekolah)
    common = {"pupil": row.peserta_didik_id, "sex": row.jenis_kelamin, "school": row.npsn, "level": row.bentuk_pendidikan}
    events = [
        Event(ADMITTED, subject_of(row.registrasi_id), came, {**common, "kind": kind, "kode_wilayah": region_of(row.kode_wilayah, came)})
    ]
    if (row.jenis_keluar_id is None) != (row.tanggal_keluar is None):
        raise value_error("jenis_keluar_id", "", rule="invalid_value", allowed="bersama tanggal_keluar/together with tanggal_keluar")
    if row.jenis_keluar_id is not None and row.tanggal_keluar is not None:
        if row.tanggal_keluar < row.tanggal_masuk_sekolah:
            raise value_error("tanggal_keluar", row.tanggal_keluar.isoformat(), rule="out_of_range", allowed=">= tanggal_masuk_sekolah")
        left = midnight(row.tanggal_keluar)
        reason = meaning_of("leaving", row.jenis_keluar_id, field="jenis_keluar_id")
        data = {**common, "reason": reason, "kode_wilayah": region_of(row.kode_wilayah, left)}
        events.append(Event(LEFT, subject_of(row.registrasi_id), left, data))
    yield from events
