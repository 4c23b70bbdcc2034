-- What Disdukcapil makes on its read-only copy of SIAK, once; the bus reads nothing else. Run by the agency's administrator, not by the bus.
-- SIAK's own names (CAPIL_LAHIR, PLPR_TGL_LAPOR, ...) as other regions have published them; those marked (?) are to be checked here first.
-- The copy must be PostgreSQL, MariaDB or SQLite: the `sql` source has no driver for Oracle. No name, address or parent is in any view.
CREATE VIEW bus_kelahiran AS
SELECT bayi_no, bayi_nik AS nik /* ? */, bayi_jns_kelamin AS jenis_klmin /* ? */, bayi_tgl_lahir AS tgl_lahir /* ? */, plpr_tgl_lapor,
       no_kec, no_kel, flag_batal AS batal /* ? */, tgl_ubah AS diubah /* ? */
FROM capil_lahir;
CREATE VIEW bus_kematian AS
SELECT mati_no, mati_nik AS nik /* ? */, mati_jns_kelamin AS jenis_klmin /* ? */, mati_tgl_mati AS tgl_mati /* ? */, plpr_tgl_lapor,
       no_kec, no_kel, flag_batal AS batal /* ? */, tgl_ubah AS diubah /* ? */
FROM capil_mati;
-- One row a person who moved: header and detail joined; `datang_no`, `pindah_no` = number of the letter, slash, number of the person in it.
CREATE VIEW bus_datang AS
SELECT h.no_datang || '/' || d.no_urut AS datang_no /* ? */, d.nik, d.jenis_klmin, h.tgl_datang /* ? */, h.created_date,
       h.klasifikasi_pindah AS klasifikasi /* ? */, h.no_kec, h.no_kel, h.flag_batal AS batal /* ? */, h.tgl_ubah AS diubah /* ? */
FROM datang_header h JOIN datang_detail d ON d.no_datang = h.no_datang;
CREATE VIEW bus_pindah AS
SELECT h.no_pindah || '/' || d.no_urut AS pindah_no /* ? */, d.nik, d.jenis_klmin, h.tgl_pindah /* ? */, h.created_date,
       h.klasifikasi_pindah AS klasifikasi /* ? */, h.no_kec, h.no_kel, h.flag_batal AS batal /* ? */, h.tgl_ubah AS diubah /* ? */
FROM pindah_header h JOIN pindah_detail d ON d.no_pindah = h.no_pindah;
CREATE VIEW bus_kawin AS
SELECT kawin_no, kawin_tgl_kawin AS tgl_kawin /* ? */, kawin_tgl_lapor, no_kec, no_kel, flag_batal AS batal /* ? */, tgl_ubah AS diubah /* ? */
FROM capil_kawin;
CREATE VIEW bus_cerai AS
SELECT cerai_no, cerai_tgl_cerai AS tgl_cerai /* ? */, cerai_tgl_lapor /* ? */, no_kec, no_kel, flag_batal AS batal /* ? */,
       tgl_ubah AS diubah /* ? */
FROM capil_cerai;
CREATE VIEW bus_biodata AS
SELECT b.nik, b.no_kk, b.jenis_klmin, b.flag_status /* ? */, k.no_kec, k.no_kel, k.no_rw, k.no_rt, b.tgl_ubah AS diubah /* ? */
FROM biodata_wni b JOIN data_keluarga k ON k.no_kk = b.no_kk;
